"""The Clip page: bounds, corrections and what they do to the log loss."""
