"""Policies at tasks: trials that are Episodes, metrics with intervals, probes with a control arm, comparisons."""
