"""95 % intervals that also count errors that have not been seen yet."""

from __future__ import annotations

from math import exp

import numpy as np

from engine.analysis.beta import beta_quantile
from engine.analysis.metrics import checked_labels, loss_of
from engine.analysis.stats import Z
from engine.runs.predictions import likeliest

_TAIL = 0.025


def proportion_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion, which always covers at least 95 %.

    For rare outcomes Wilson's interval may cover only 0.84, and the mid-p interval 0.92.

    Parameters
    ----------
    hits : number of successes among ``n``
    n : number of trials, 1 or more; for grouped images see :func:`effective_counts`

    Raises
    ------
    ValueError
        Unless 0 <= hits <= n and n is 1 or more.

    References
    ----------
    Clopper and Pearson (1934), The use of confidence or fiducial limits illustrated in the case of
    the binomial.

    Examples
    --------
    >>> low, high = proportion_interval(370, 370)
    >>> round(low, 4), high
    (0.9901, 1.0)
    """
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"{hits} of {n} is not a proportion")
    if 2 * hits > n:
        low, high = proportion_interval(n - hits, n)
        return 1 - high, 1 - low
    low = beta_quantile(_TAIL, hits, n - hits + 1) if hits else 0.0
    return low, beta_quantile(1 - _TAIL, hits + 1, n - hits)


def effective_counts(hits: np.ndarray, groups: np.ndarray | None) -> tuple[int, int]:
    """Return the number of independent trials that grouped images are worth, as (hits, trials).

    It is estimated from the variance of the share between groups. Where that is 0, as when all
    images are hits, a group counts as one trial.

    Parameters
    ----------
    hits : bool array of shape (n,)
    groups : array of shape (n,), equal where images belong together; None where none do

    References
    ----------
    Korn and Graubard (1998), Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data.
    """
    n = len(hits)
    if groups is None:
        return int(np.count_nonzero(hits)), n
    share, of_groups = float(np.mean(hits)), group_values(hits, groups)
    size = len(of_groups)
    if size > 1 and (variance := float(of_groups.var(ddof=1)) / size) > 0:
        size = round(min(max(share * (1 - share) / variance, size), n))
    return round(share * size), size


def share_with_interval(
    hits: np.ndarray, groups: np.ndarray | None = None
) -> tuple[float | None, tuple[float, float] | None]:
    """Return the share of hits and its 95 % interval; None for both where there is no image.

    Parameters
    ----------
    hits : bool array of shape (n,)
    groups : array of shape (n,), equal where images belong together
    """
    if not len(hits):
        return None, None
    return float(np.mean(hits)), proportion_interval(*effective_counts(hits, groups))


def image_count_text(n: int, n_groups: int) -> str:
    """Return the number of images as text, with the number of their groups if that is smaller."""
    images = f"{n:,} image{'s' * (n != 1)}"
    return images if n_groups == n else f"{images} in {n_groups:,} group{'s' * (n_groups != 1)}"


def group_values(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return one value for each group, for the standard error of the mean of grouped values.

    Their mean is the mean of all values. For groups of equal size they are the group means; for
    other groups, those of the ratio estimator of cluster sampling.

    Parameters
    ----------
    values, groups : arrays of shape (n,)

    References
    ----------
    Cochran (1977), Sampling Techniques, section 9A.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    sums = np.bincount(group_of, weights=values)
    sizes = np.bincount(group_of)
    mean = float(np.mean(values))
    return np.asarray(mean + (sums - mean * sizes) * len(sums) / len(values))


def unseen_error_loss(y_true: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the loss of an error that has not been seen: a correct image with another label.

    The mean over all correct images, with the second most likely class as label. Without a
    correct image, the largest loss.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)
    """
    labels = checked_labels(y_true, probabilities.shape[1])
    correct = likeliest(probabilities) == labels
    at = np.flatnonzero(correct)
    if not len(at):
        rows = np.arange(len(labels))
        return float(loss_of(probabilities[rows, labels]).max(initial=0.0))
    if probabilities.shape[1] == 2:
        return float(loss_of(probabilities[at, 1 - labels[at]]).mean())
    second = probabilities[at]
    second[np.arange(len(at)), labels[at]] = -1
    return float(loss_of(second.max(axis=1)).mean())


def loss_interval(
    losses: np.ndarray, unseen: float, groups: np.ndarray | None = None
) -> tuple[float, float]:
    """Return the 95 % interval of a mean log loss.

    The upper end is that of the images and one more, an error with the loss ``unseen``: a model
    that errs once in 700 images shows no error in most samples of 370, and no resampling of those
    finds one. The lower end is that of the logarithm of the mean, because the mean is not negative.

    Parameters
    ----------
    losses : float64 array of shape (n,), natural logarithm
    unseen : see :func:`unseen_error_loss`
    groups : array of shape (n,), equal where images belong together

    Raises
    ------
    ValueError
        When there are no losses, or one is not finite.
    """
    v = np.asarray(losses, dtype=np.float64)
    if len(v) == 0 or not np.isfinite(v).all():
        raise ValueError("loss_interval needs one or more finite losses")
    if groups is not None:
        v = group_values(v, groups)
    mean, squares, n = float(v.mean()), float(np.square(v - v.mean()).sum()), len(v)
    return lower_end(mean, squares, n), upper_end(mean, squares, n, unseen)


def lower_end(mean: float, squares: float, n: int) -> float:
    """Return the lower end of the interval of a mean of n losses; squares about the mean."""
    if mean <= 0 or n < 2:
        return 0.0
    return mean * exp(-Z * (squares / (n - 1) / n) ** 0.5 / mean)


def upper_end(mean: float, squares: float, n: int, unseen: float) -> float:
    """Return the upper end, one loss of ``unseen`` added."""
    added = (n * mean + unseen) / (n + 1)
    squares += (unseen - mean) ** 2 * n / (n + 1)
    return float(added + Z * (squares / n / (n + 1)) ** 0.5)
