"""Container files: HDF5, Zarr, MCAP, ROS bags, TFRecord, Parquet and Arrow. They know no episode."""
