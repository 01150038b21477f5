"""Finds the most similar images: nearest rows in feature space, by cosine distance."""

from __future__ import annotations

import numpy as np

_BLOCK_NUMBERS = 16_000_000  # numbers in a block: 64 MB in float32


def nearest(
    queries: np.ndarray,
    features: np.ndarray,
    k: int,
    *,
    itself: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest rows of ``features`` to each query, nearest first.

    The cosine distance is 1 - cos: 0 for the same direction, 1 for orthogonal and 2 for opposite
    directions. Equal distances are ordered by row; a row of zeros has distance 1 to every
    row.

    Parameters
    ----------
    queries : (m, width) and features : (n, width)
        Floating-point numbers of any precision, compared in float32, block by block, so that
        memory does not grow with m times n.
    itself : int array of shape (m,)
        The row of ``features`` with the query's own image, which is excluded; -1 for none.

    Returns
    -------
    rows : int64 (m, k) and distances : float32 (m, k), k being at most n
        Where fewer than k rows are left, the row is -1 and the distance infinite.

    Raises
    ------
    ValueError
        If k is less than 1 or the widths differ.
    """
    if k < 1 or queries.shape[1] != features.shape[1]:
        raise ValueError(f"k is {k}; widths are {queries.shape[1]} and {features.shape[1]}")
    m, n = len(queries), len(features)
    k = min(k, n)
    rows = np.full((m, k), -1, dtype=np.int64)
    distances = np.full((m, k), np.inf, dtype=np.float32)
    if not k:
        return rows, distances
    kept = unit_rows(features)
    step = max(1, _BLOCK_NUMBERS // n)
    for start in range(0, m, step):
        block = slice(start, min(start + step, m))
        far = 1 - unit_rows(queries[block]) @ kept.T  # (block, n)
        np.clip(far, 0, 2, out=far)
        if itself is not None:
            own = np.flatnonzero(itself[block] >= 0)
            far[own, itself[block][own]] = np.inf
        rows[block], distances[block] = _smallest(far, k)
    rows[np.isinf(distances)] = -1
    return rows, distances


def _smallest(far: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and values of the k smallest entries of each row, ties by position."""
    edge = np.partition(far, k - 1, axis=1)[:, k - 1 : k]  # (m, 1), the k-th smallest
    rows = np.empty((len(far), k), dtype=np.int64)
    for i, (line, limit) in enumerate(zip(far, edge, strict=True)):
        close = np.flatnonzero(line <= limit)
        rows[i] = close[np.argsort(line[close], kind="stable")[:k]]
    return rows, np.take_along_axis(far, rows, axis=1)


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Return the rows of (n, width) scaled to length 1, float32; a row of zeros stays.

    Parameters
    ----------
    values : float array of shape (n, width)
    """
    scaled = values.astype(np.float32)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(length > 0, length, 1))
