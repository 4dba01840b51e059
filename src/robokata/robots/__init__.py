"""Robots, one per file: `ROBOT` is an Embodiment whose numbers name their source."""
