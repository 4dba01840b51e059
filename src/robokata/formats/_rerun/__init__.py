"""Rerun recordings."""
