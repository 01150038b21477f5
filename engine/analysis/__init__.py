"""Pure functions on predictions: metrics, the five categories, clip bounds; no disk, no torch."""
