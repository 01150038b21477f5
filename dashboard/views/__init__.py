"""One thin file a page: read the state, load, one analysis call, draw."""
