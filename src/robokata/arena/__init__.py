"""Preferences between policies, and the rankings that follow from them."""
