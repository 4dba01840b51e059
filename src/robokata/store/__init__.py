"""Every version of a dataset, kept: immutable snapshots whose parts are named by their content."""
