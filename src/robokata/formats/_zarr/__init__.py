"""Zarr replay buffers."""
