"""Trust: hundreds of datasets that other programs write, through every verb, against readers that are not ours."""
