"""The way out: the checked submission file, and Kaggle."""
