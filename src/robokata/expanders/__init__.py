"""A shelf: each file here is one way to make more data out of data, and its own registration."""
