"""More data out of data: demonstrations told again, varied, mirrored, retimed, reworded, or shown by a world model."""
