"""Submission files: composing, checking and writing them, and sending them to Kaggle."""
