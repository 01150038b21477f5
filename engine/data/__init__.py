"""Reads images and labels into one table, and draws the demo images."""
