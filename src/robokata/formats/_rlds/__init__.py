"""RLDS records."""
