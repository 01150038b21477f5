"""The Submit page: checks, the file and Kaggle."""
