"""Image tiles, the large viewer and the prefetch of the next page."""
