"""The shelf of metrics."""
