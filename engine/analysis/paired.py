"""Compares two sets of predictions for the same images by a paired bootstrap."""

from __future__ import annotations

import numpy as np

from engine.analysis.metrics import mean_interval


def paired_difference(
    a_losses: np.ndarray, b_losses: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean of ``a_losses - b_losses`` and its 95 % paired bootstrap interval.

    A positive value means that b has the lower loss. Images are resampled with both values, so
    variation common to both cancels. Any per-image value can be used: losses, or hits as 0 and 1.
    Beyond 20,000 images the normal approximation is used, see
    :func:`~engine.analysis.metrics.mean_interval`.

    Parameters
    ----------
    a_losses, b_losses : arrays of shape (n,), with the same image at the same position

    Returns
    -------
    (difference, low, high)

    Raises
    ------
    ValueError
        If the two differ in length, are empty, or hold a value that is not finite.

    Examples
    --------
    >>> paired_difference(np.array([0.5, 0.7]), np.array([0.25, 0.45]))
    (0.25, 0.25, 0.25)
    """
    a, b = np.asarray(a_losses, dtype=np.float64), np.asarray(b_losses, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired losses need the same images, not {a.shape} and {b.shape}")
    differences = a - b
    sign = -1 if differences.sum() < 0 else 1  # so that a and b exchanged give the same interval
    low, high = sorted(sign * end for end in mean_interval(sign * differences, seed=seed))
    return float(differences.mean()), low, high
