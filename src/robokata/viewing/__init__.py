"""Reports for people: terminal, HTML, JUnit."""
