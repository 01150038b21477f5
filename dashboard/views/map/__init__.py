"""The Map page: all images as points, and the area drawn on them."""
