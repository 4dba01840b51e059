"""MCAP files: records, summary, writing."""
