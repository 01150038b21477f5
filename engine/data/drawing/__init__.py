"""Draws a demo image: the animal, its surroundings and its difficulties."""
