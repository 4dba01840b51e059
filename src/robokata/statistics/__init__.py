"""Statistics: intervals, comparisons, rankings; pure functions over numbers."""
