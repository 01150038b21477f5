"""Heat maps and nearest training images of one image."""
