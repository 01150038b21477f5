"""Finds the points of a map that lie within a polygon."""

from __future__ import annotations

import numpy as np


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Return which points lie within a closed polygon, by the even-odd rule.

    A ray from a point to the right crosses the outline an odd number of times if the point lies
    inside; so a self-intersecting polygon has holes. For points on the outline the result may be
    either. A point with a NaN coordinate is outside.

    Parameters
    ----------
    points : float array of shape (n, 2)
    polygon : float array of shape (corners, 2), in order; the last corner joins the first

    Returns
    -------
    bool array of shape (n,)

    References
    ----------
    Shimrat, Algorithm 112: Position of point relative to polygon, CACM 5(8), 1962.
    """
    x, y = points[:, 0], points[:, 1]
    within = np.zeros(len(points), dtype=bool)
    # Only points within the polygon's bounding box can lie within the polygon.
    (left, bottom), (right, top) = polygon.min(axis=0), polygon.max(axis=0)
    near = np.flatnonzero((x >= left) & (x <= right) & (y >= bottom) & (y <= top))
    x, y = x[near], y[near]
    crossings = np.zeros(len(near), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        spans = (y0 > y) != (y1 > y)
        crossings ^= spans & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    within[near] = crossings
    return within
