"""ACT / ALOHA files."""
