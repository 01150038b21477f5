"""Code that several pages use: tables, thumbnails, escaping, small HTML and chart style."""
