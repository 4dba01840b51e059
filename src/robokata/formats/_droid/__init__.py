"""DROID annotations."""
