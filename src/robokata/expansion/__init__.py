"""`kata expand`: its function, its result and how accepted resets differ from those that were tried."""
