"""Intervals of the difference between two sets of predictions for the same images."""

from __future__ import annotations

import numpy as np

from engine.analysis.metrics import mean_interval
from engine.analysis.stats import Z


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


def difference_with_unseen(
    a_losses: np.ndarray, b_losses: np.ndarray, turned: float, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean of ``a_losses - b_losses`` with an interval that counts an unseen error.

    The interval contains the paired bootstrap interval and, with one image more whose difference
    is ``turned``, the normal one: where few errors have been seen, the more confident of two
    equally good models has the lower loss in most samples.

    Parameters
    ----------
    a_losses, b_losses : arrays of shape (n,), with the same image at the same position
    turned : difference in loss on an image that both predict correctly, with another label

    Returns
    -------
    (difference, low, high)
    """
    difference, low, high = paired_difference(a_losses, b_losses, seed)
    values = np.append(np.asarray(a_losses, dtype=np.float64) - b_losses, turned)
    error = Z * float(values.std(ddof=1)) / len(values) ** 0.5
    mean = float(values.mean())
    return difference, min(low, mean - error), max(high, mean + error)


def accuracy_difference(a_hits: np.ndarray, b_hits: np.ndarray) -> tuple[float, float, float]:
    """Return the accuracy of a minus that of b, and its 95 % interval.

    Parameters
    ----------
    a_hits, b_hits : bool arrays of shape (n,), with the same image at the same position

    References
    ----------
    Agresti and Min (2005), Simple improved confidence intervals for comparing matched
    proportions.
    """
    n, a_only, b_only = len(a_hits), int((a_hits & ~b_hits).sum()), int((b_hits & ~a_hits).sum())
    mean = (a_only - b_only) / (n + 2)
    error = Z * ((a_only + b_only + 1) - (a_only - b_only) ** 2 / (n + 2)) ** 0.5 / (n + 2)
    return (a_only - b_only) / n, max(mean - error, -1.0), min(mean + error, 1.0)
