"""Checks run on datasets: examination, report, catalogue of checks."""
