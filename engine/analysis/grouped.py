"""Means of images that come in groups, such as photographs of one patient, and folds of them."""

from __future__ import annotations

import numpy as np

from engine.analysis.intervals import group_values
from engine.analysis.stats import permutation_pvalue

_RESAMPLES, _DRAWN_AT_ONCE = 2000, 1_000_000
_RESAMPLED_UP_TO = 20_000  # groups
_ENDS = (0.025, 0.975)
_JUDGED_FROM = 5  # observations in a bin, and outside it


def grouped_mean_interval(
    values: np.ndarray, groups: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean, by resampling groups of images.

    Whole groups are resampled (the percentile bootstrap), so a group counts as one observation.

    Parameters
    ----------
    values : float array of shape (n,), of each image
    groups : int array of shape (n,), numbered from 0

    References
    ----------
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    sums, sizes = np.bincount(groups, weights=values)[:, None], np.bincount(groups)
    (low,), (high,) = mean_intervals(sums, sizes, _RESAMPLES, seed)
    return max(float(low), float(np.min(values))), min(float(high), float(np.max(values)))


def mean_intervals(
    sums: np.ndarray, sizes: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends of the 95 % intervals of several means per image.

    Groups are drawn with replacement, the same ones for all columns. Beyond 20,000 groups the
    normal approximation of a ratio is used.

    Parameters
    ----------
    sums : float array of shape (n_groups, columns), of the images of each group
    sizes : array of shape (n_groups,), images of each group; all 1 for images without groups

    Returns
    -------
    two float64 arrays of shape (columns,)
    """
    n = len(sums)
    if n > _RESAMPLED_UP_TO:
        means = sums.sum(axis=0) / sizes.sum()
        residuals = sums - means * sizes[:, None]
        error = 1.96 * np.sqrt(np.square(residuals).sum(axis=0)) / sizes.sum()
        return means - error, means + error
    rng = np.random.default_rng(seed)
    drawn_means = []
    at_once = max(_DRAWN_AT_ONCE // n, 1)
    for start in range(0, draws, at_once):
        size = min(at_once, draws - start)
        rows = rng.integers(n, size=(size, n), dtype=np.int32)
        rows += (np.arange(size, dtype=np.int32) * n)[:, None]
        drawn = np.bincount(rows.ravel(), minlength=size * n).reshape(size, n)
        drawn_means.append((drawn @ sums) / (drawn @ sizes)[:, None])
    low, high = np.quantile(np.concatenate(drawn_means), _ENDS, axis=0)
    return low, high


def bin_pvalues(
    values: np.ndarray, bin_of: np.ndarray, n_bins: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return for each bin the probability that random images have at least its mean.

    Images of one group that lie in one bin count as one observation.

    Parameters
    ----------
    values : float64 array of shape (n,), of each image
    bin_of : int array of shape (n,), the bin of each image, 0 to n_bins - 1
    groups : int array of shape (n,), equal where images belong together; None where none do

    Returns
    -------
    float64 array of shape (n_bins,), see `permutation_pvalue`; 1 where fewer than five
    observations lie in the bin or outside it
    """
    if groups is not None:
        _, first, part = np.unique(groups * n_bins + bin_of, return_index=True, return_inverse=True)
        values, bin_of = group_values(values, part), bin_of[first]
    n = np.bincount(bin_of, minlength=n_bins)
    counted = np.maximum(n, 1)
    mean = np.bincount(bin_of, weights=values, minlength=n_bins) / counted
    judged = np.minimum(n, len(values) - n) >= _JUDGED_FROM
    return np.where(judged, permutation_pvalue(mean, counted, values), 1.0)


def folds_of_groups(groups: np.ndarray, k: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the rows of ``k`` folds that divide no group.

    Parameters
    ----------
    groups : int array of shape (n,), numbered from 0
    k : number of folds
    rng : decides the order of the groups
    """
    dealt = np.empty(int(groups.max()) + 1, dtype=np.int64)
    dealt[rng.permutation(len(dealt))] = np.arange(len(dealt)) % k
    return [np.flatnonzero(dealt[groups] == fold) for fold in range(k)]
