"""What is said to a world model, and what of its answer is kept."""
