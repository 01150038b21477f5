"""Pure functions on predictions, such as metrics, categories and clipping; no disk, no torch."""
