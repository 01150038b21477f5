"""Draws one demo image: what stands in it, what stands around it, what spoils it."""
