"""Recordings on disk: a journal that grows by lines, and the episodes rendered from it."""
