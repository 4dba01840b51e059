"""Tasks, one per file: what lies on the table, what is asked, when it is done, and how a skilled operator does it."""
