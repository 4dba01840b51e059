"""Robokata: the data engine for Vision-Language-Action robots."""

from robokata.core.source import find_datasets, open_source

__version__ = "0.1.0"
__all__ = ["__version__", "find_datasets", "open_source"]
