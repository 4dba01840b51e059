"""HDF5 datasets as streams."""
