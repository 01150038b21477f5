"""P-values of a subset's mean, and of many tests together."""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np

from engine.analysis.gamma import gamma_tail

Z = 1.959964  # of a 95 % interval


def permutation_pvalue(mean: np.ndarray, n: np.ndarray, all_values: np.ndarray) -> np.ndarray:
    """Return the probability that ``n`` values drawn without replacement have at least this mean.

    The permutation distribution is approximated by a Pearson type III (shifted gamma)
    distribution of the same mean, variance and skewness. Losses are skewed, so that a normal
    approximation would give p-values that are far too small.

    Parameters
    ----------
    mean, n : arrays of shape (m,)
        Mean and size of each subset.
    all_values : float64 array of shape (n_all,)
        The values from which the subsets are drawn.

    Returns
    -------
    float64 array of shape (m,)
        One-sided p-values; 1 where a subset cannot differ from the whole.

    References
    ----------
    Mielke and Berry, Permutation Methods: A Distance Function Approach, 2nd edition, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> losses = np.array([0.1, 0.2, 0.1, 0.3, 2.0, 1.5, 0.2, 0.1])
    >>> permutation_pvalue(np.array([1.75]), np.array([2]), losses).round(2)
    array([0.03])
    """
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
    tail = [_tail(*each) for each in zip(z.tolist(), skew.tolist(), strict=True)]
    return np.where(spread > 0, tail, 1.0)


def _tail(z: float, skew: float) -> float:
    """Return the probability that a standardised variable of this skewness is at least z."""
    if abs(skew) <= 1e-4:
        return erfc(z / sqrt(2)) / 2
    shape = 4 / skew**2
    tail = gamma_tail(shape, shape + 2 * z / skew)
    return tail if skew > 0 else 1 - tail


def adjusted_pvalues(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for the number of tests, by Benjamini and Hochberg.

    If all with an adjusted value below 0.05 are believed, at most one in twenty is expected to be
    false. SciPy's `false_discovery_control` gives the same, but importing it takes a second, which
    the first page would wait for.

    Parameters
    ----------
    p : float64 array of shape (m,)

    Returns
    -------
    float64 array of shape (m,)

    References
    ----------
    Benjamini and Hochberg (1995), Controlling the false discovery rate.

    Examples
    --------
    >>> import numpy as np
    >>> adjusted_pvalues(np.array([0.01, 0.04, 0.03, 0.5]))
    array([0.04      , 0.05333333, 0.05333333, 0.5       ])
    """
    order = np.argsort(p)[::-1]
    rank = np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum.accumulate(p[order] * len(p) / rank)
    return adjusted
