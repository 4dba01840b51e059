"""Recipes: sources, steps, selection, and the dataset that they give."""
