"""Training small policies: the loop, its modules, its checkpoints."""
