"""The Map page: all images as points, and the area selected on it."""
