"""Intervals of the difference between two sets of predictions for the same images."""

from __future__ import annotations

from math import comb, erfc, sqrt

import numpy as np

from engine.analysis.intervals import group_values
from engine.analysis.metrics import mean_interval
from engine.analysis.stats import Z

_EXACT_BELOW = 1000  # images that only one of the two gets right


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
    a_losses: np.ndarray,
    b_losses: np.ndarray,
    unseen: float,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """Return the mean of ``a_losses - b_losses`` with an interval that counts an unseen error.

    The interval is the paired bootstrap's; on the side to which one image more, whose difference is
    ``unseen``, would move the mean, it reaches as far as the normal interval with that image. Where
    few errors have been seen, the more confident of two equally good models has the lower loss in
    most samples; an unseen error would count against it.

    Parameters
    ----------
    a_losses, b_losses : arrays of shape (n,), with the same image at the same position
    unseen : difference in loss on an image that both predict correctly, with another label
    groups : array of shape (n,), equal where images belong together; they count as one

    Returns
    -------
    (difference, low, high)
    """
    if groups is not None:
        a_losses, b_losses = group_values(a_losses, groups), group_values(b_losses, groups)
    difference, low, high = paired_difference(a_losses, b_losses, seed)
    values = np.append(np.asarray(a_losses, dtype=np.float64) - b_losses, unseen)
    error = Z * float(values.std(ddof=1)) / len(values) ** 0.5
    mean = float(values.mean())
    if unseen < difference:
        low = min(low, mean - error)
    elif unseen > difference:
        high = max(high, mean + error)
    return difference, low, high


def accuracy_difference(
    a_hits: np.ndarray, b_hits: np.ndarray, groups: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Return the accuracy of a minus that of b, and its 95 % interval.

    Parameters
    ----------
    a_hits, b_hits : bool arrays of shape (n,), with the same image at the same position
    groups : array of shape (n,), equal where images belong together

    References
    ----------
    Agresti and Min (2005), Simple improved confidence intervals for comparing matched
    proportions.
    """
    size, a_only, b_only = discordant(a_hits, b_hits, groups)
    mean = (a_only - b_only) / (size + 2)
    error = Z * ((a_only + b_only + 1) - (a_only - b_only) ** 2 / (size + 2)) ** 0.5 / (size + 2)
    return (a_only - b_only) / size, max(mean - error, -1.0), min(mean + error, 1.0)


def mcnemar(fixed: int, broken: int) -> tuple[float, bool]:
    """Return the two-sided mid-p value of fixed and broken images being equally likely.

    Below 1,000 such images by the binomial distribution, of which the observed count has half its
    probability; from there on by chi-square, which is the same to three digits.

    Returns
    -------
    (p, whether it is exact)

    Examples
    --------
    >>> mcnemar(1, 8)
    (0.021484375, True)
    """
    n = fixed + broken
    if n < _EXACT_BELOW:  # in integers: 2**n exceeds a float
        fewer = min(fixed, broken)
        twice = 2 * sum(comb(n, k) for k in range(fewer)) + comb(n, fewer)
        return min(1.0, twice / 2**n), True
    chi_square = (fixed - broken) ** 2 / n
    return erfc(sqrt(chi_square / 2)), False  # survival of chi-square with 1 degree of freedom


def discordant(
    a_hits: np.ndarray, b_hits: np.ndarray, groups: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Return the number of images, and those that only a or only b gets right.

    Grouped images are scaled to the number of independent ones that they are worth, estimated from
    the variance of the difference between groups as in `effective_counts`.

    Parameters
    ----------
    a_hits, b_hits : bool arrays of shape (n,), with the same image at the same position
    groups : array of shape (n,), equal where images belong together
    """
    n, a_only, b_only = len(a_hits), int((a_hits & ~b_hits).sum()), int((b_hits & ~a_hits).sum())
    if groups is None:
        return n, a_only, b_only
    values = a_hits.astype(np.float64) - b_hits
    of_groups = group_values(values, groups)
    size = float(len(of_groups))
    if size > 1 and (variance := float(of_groups.var(ddof=1)) / size) > 0:
        size = min(max(float(values.var()) / variance, size), n)
    return size, a_only * size / n, b_only * size / n
