"""Image tiles and the large viewer."""
