"""Image tiles and the viewer for a single image."""
