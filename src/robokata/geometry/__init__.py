"""Pure functions about motion and shape."""
