"""Verdicts on labels: the panel and its data."""
