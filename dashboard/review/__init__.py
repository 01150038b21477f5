"""Reviewing labels: verdicts, suspects and the reviewer's name."""
