"""A shelf: each file here is one leaf and its own registration."""
