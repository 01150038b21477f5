"""How likely chance alone makes it: draws without replacement, shares, and many looks at once."""

from __future__ import annotations

import numpy as np

Z = 1.959964  # of a 95 % interval


def false_discovery(p: np.ndarray) -> np.ndarray:
    """Return Benjamini and Hochberg's adjusted p-values, float64 array of shape (n,)."""
    order = np.argsort(p)[::-1]
    n = len(p)
    scaled = p[order] * n / np.arange(n, 0, -1)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum.accumulate(np.minimum(scaled, 1.0))
    return adjusted


def draw_tail(mean: np.ndarray, n: np.ndarray, all_values: np.ndarray) -> np.ndarray:
    """Return the chance that ``n`` values drawn blindly from all have at least this mean.

    The permutation distribution is matched in mean, variance and skewness by a Pearson type III
    (a shifted gamma) distribution: losses are so skewed that a normal one would call chance what
    it is not. Mielke and Berry (2007), Permutation Methods.

    Parameters
    ----------
    mean, n : arrays of shape (m,), of each draw without replacement
    all_values : float64 array of shape (n_all,)
    """
    from scipy.special import gammaincc, ndtr

    size = len(all_values)
    centred = all_values - all_values.mean()
    variance = float((centred**2).mean())
    if size < 3 or variance == 0:
        return np.ones(len(n))
    drawn = np.asarray(n, dtype=np.float64)
    spread = np.sqrt(variance / drawn * (size - drawn) / (size - 1))
    third = (centred**3).mean() * (size - drawn) * (size - 2 * drawn)
    third /= drawn**2 * (size - 1) * (size - 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(spread > 0, (mean - all_values.mean()) / spread, 0.0)
        skew = np.where(spread > 0, third / spread**3, 0.0)
        shape = 4 / skew**2
        gamma = gammaincc(shape, np.maximum(shape + 2 * z / skew, 0))
    tail = np.where(skew > 1e-4, gamma, np.where(skew < -1e-4, 1 - gamma, ndtr(-z)))
    return np.where(spread > 0, np.clip(tail, 0, 1), 1.0)


def wilson_interval(errors: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, which is never empty.

    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    rate, z2 = errors / n, Z**2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * (rate * (1 - rate) / n + z2 / (4 * n**2)) ** 0.5 / (1 + z2 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)
