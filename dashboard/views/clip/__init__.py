"""The Clip page: bounds, corrections and their effect on the log loss."""
