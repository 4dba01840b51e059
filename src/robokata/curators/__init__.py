"""A shelf: each file here is one curator, and its own registration."""
