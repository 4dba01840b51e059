"""Speed and memory, measured: `make bench` prints every number that the documents claim."""
