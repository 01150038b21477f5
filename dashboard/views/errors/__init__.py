"""The Errors page: the gallery of images by category and filter."""
