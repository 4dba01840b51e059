"""Pictures: where they lie in their files, and how to get them out."""
