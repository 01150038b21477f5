"""The winding number of a polygon: an oracle for the lasso."""

from __future__ import annotations

import math

import numpy as np


def turns(point: np.ndarray, polygon: np.ndarray) -> float:
    """Return how often the outline goes round the point: the oracle, by angles."""
    total = 0.0
    for a, b in zip(polygon - point, np.roll(polygon, -1, axis=0) - point, strict=True):
        total += math.atan2(a[0] * b[1] - a[1] * b[0], float(a @ b))
    return total / (2 * math.pi)
