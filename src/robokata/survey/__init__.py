"""What is in a dataset: counts, streams, rates, files that were not recognised."""
