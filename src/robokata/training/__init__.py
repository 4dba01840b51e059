"""Training of policies: data, loop, receipt."""
