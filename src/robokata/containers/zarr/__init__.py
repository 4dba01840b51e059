"""Zarr version 2 and 3: metadata, chunks, codecs."""
