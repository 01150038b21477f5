"""What the web server answers itself: the document, original files, and whether the token fits."""
