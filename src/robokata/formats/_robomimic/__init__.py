"""robomimic files."""
