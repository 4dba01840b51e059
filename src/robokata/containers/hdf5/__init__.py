"""HDF5 files, opened with bounds."""
