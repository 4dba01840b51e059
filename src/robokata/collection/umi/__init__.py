"""Handheld grippers: a video of a board, two finger tags and a pair of hands becomes Episodes."""
