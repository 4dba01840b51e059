"""A shelf: each file here is one metric, named after the quantity, and its own registration."""
