"""Explanations of predictions: heat maps and nearest training images in the viewer."""
