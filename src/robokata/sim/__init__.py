"""Simulated worlds: tasks and robots as MuJoCo models, stepped, recorded and rendered."""
