"""A run as one page to hand on: a single HTML file without scripts that asks nothing of the net."""
