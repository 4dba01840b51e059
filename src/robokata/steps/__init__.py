"""A shelf: each file here is one step, and its own registration."""
