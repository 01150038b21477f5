"""Images in, one table out."""
