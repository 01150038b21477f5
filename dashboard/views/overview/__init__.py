"""The Overview page: scores, charts, confusion matrix and weak slices."""
