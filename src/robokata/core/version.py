"""The version of Robokata."""

__version__ = "0.1.0"
