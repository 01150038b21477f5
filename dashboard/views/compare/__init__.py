"""The Compare page: two runs on the same images."""
