"""Draws one demo picture: what stands in it, what stands around it, what spoils it."""
