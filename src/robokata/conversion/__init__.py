"""Conversion between formats: plan, write, read back, compare."""
