"""Metrics of predictions: log loss, accuracy, confusion matrix, and their intervals."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from engine.runs.predictions import likeliest

EPSILON = float(np.finfo(np.float64).eps)
_RESAMPLED_UP_TO = 20_000
_CURVE_POINTS = 500


def true_class_probability(y_true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of the true class, float64 array of shape (n,).

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)

    Raises
    ------
    ValueError
        If a label is unknown (-1) or not a column of ``probabilities``.
    """
    labels = checked_labels(y_true, probabilities.shape[1])
    return np.asarray(probabilities[np.arange(len(labels)), labels], dtype=np.float64)


def per_sample_log_loss(y_true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the log loss of each image: -log of its true class's probability (natural logarithm).

    0 means certain and correct. The probability is clipped at the epsilon of float64, as in
    scikit-learn, so that no loss exceeds 36.04.

    Parameters
    ----------
    y_true : int array of shape (n,)
    probabilities : array of shape (n, n_classes), scored in float64

    Returns
    -------
    float64 array of shape (n,)

    Raises
    ------
    ValueError
        If a label is unknown (-1) or not a column of ``probabilities``.
    """
    return loss_of(true_class_probability(y_true, probabilities))


def loss_of(p: np.ndarray) -> np.ndarray:
    """Return the log loss for a probability ``p`` of the true class, in the same shape."""
    return np.asarray(-np.log(np.clip(p, EPSILON, 1 - EPSILON)))


def log_loss(y_true: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean of :func:`per_sample_log_loss`; lower is better.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)

    Raises
    ------
    ValueError
        If there are no images, or a label is unknown.

    Examples
    --------
    >>> round(log_loss(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])), 6)
    0.164252
    """
    return _mean(per_sample_log_loss(y_true, probabilities), "log_loss")


def accuracy(y_true: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the share of images whose most likely class is the true one; higher is better.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)

    Raises
    ------
    ValueError
        If there are no images, or a label is unknown.
    """
    labels = checked_labels(y_true, probabilities.shape[1])
    return _mean(likeliest(probabilities) == labels, "accuracy")


def confusion_matrix(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> np.ndarray:
    """Count the images by true class (rows) and predicted class (columns).

    Parameters
    ----------
    y_true, y_pred : int arrays of shape (n,), class indices
    n_classes : number of classes

    Returns
    -------
    int64 array of shape (n_classes, n_classes)

    Raises
    ------
    ValueError
        If a class lies outside ``n_classes``.
    """
    cells = checked_labels(y_true, n_classes) * n_classes + checked_labels(y_pred, n_classes)
    counts = np.bincount(cells, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes).astype(np.int64, copy=False)


def precision_recall(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall of each class from a confusion matrix.

    Returns
    -------
    two float64 arrays of shape (n_classes,)
        nan where undefined: precision of a class never predicted, recall of a class without images.
    """
    right = np.diag(matrix).astype(np.float64)
    undefined = np.full(len(right), np.nan)
    predicted, seen = matrix.sum(axis=0), matrix.sum(axis=1)
    precision = np.divide(right, predicted, out=undefined.copy(), where=predicted > 0)
    recall = np.divide(right, seen, out=undefined.copy(), where=seen > 0)
    return precision, recall


def mean_interval(
    values: np.ndarray, *, confidence: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of per-image values.

    For 0/1 values (hits) nothing is drawn: the mean of a resample is binomial, so the exact
    quantiles are returned. Other values are resampled for up to 20,000 images. For more images the
    normal approximation is used: by the central limit theorem it differs from the bootstrap by less
    than the noise of 2,000 draws, which would need n_resamples * n random numbers. Its ends are
    limited to the smallest and largest value, since every resampled mean lies between them.

    Raises
    ------
    ValueError
        If there are no values, one is not finite, or ``confidence`` is not between 0 and 1.
    """
    v = np.asarray(values, dtype=np.float64)
    n = len(v)
    if n == 0 or not np.isfinite(v).all():
        raise ValueError("mean_interval needs one or more finite values")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} must lie between 0 and 1")
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    mean, low, high = float(v.mean()), float(v.min()), float(v.max())
    if low == high:
        return mean, mean
    if ((v == 0) | (v == 1)).all():
        ends = [binomial_quantile(tail, n, mean) / n for tail in tails]
    elif n <= _RESAMPLED_UP_TO:
        rng = np.random.default_rng(seed)
        means = [v[rng.integers(n, size=n, dtype=np.int32)].mean() for _ in range(n_resamples)]
        ends = np.quantile(means, tails).tolist()
    else:
        error = float(v.std()) / n**0.5
        ends = [min(max(mean + NormalDist().inv_cdf(tail) * error, low), high) for tail in tails]
    return ends[0], ends[1]


def loss_concentration(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of the total log loss that comes from the k highest-loss images.

    Parameters
    ----------
    losses : float array of shape (n,), not negative

    Returns
    -------
    counts : int64 array of shape (m,), k from 1 to n; at most about 500 values, dense at the start,
        among them the smallest k whose images have half of the total
    share : float64 array of shape (m,), each exact, rising to 1

    Raises
    ------
    ValueError
        If a loss is negative or not finite.
    """
    worst_first = np.sort(np.asarray(losses, dtype=np.float64))[::-1]
    n = len(worst_first)
    if n and not (worst_first[-1] >= 0 and np.isfinite(worst_first[0])):
        raise ValueError("losses must be finite and not negative")
    half = _CURVE_POINTS // 2
    counts = np.arange(1, n + 1)
    if n > _CURVE_POINTS:
        steps = np.concatenate([np.geomspace(1, n, half), np.linspace(1, n, half)])
        counts = np.unique(np.rint(steps).astype(np.int64))
    carried = np.cumsum(worst_first)
    if n == 0 or carried[-1] == 0:
        return counts, counts / max(n, 1)
    half_of_loss = np.searchsorted(carried / carried[-1], 0.5) + 1
    counts = np.union1d(counts, half_of_loss)
    return counts, carried[counts - 1] / carried[-1]


def most_confused(matrix: np.ndarray, k: int = 10) -> list[tuple[int, int, int]]:
    """Return the ``k`` largest off-diagonal cells as (true, predicted, count).

    Largest first, ties by (true, predicted); empty cells are left out.

    Parameters
    ----------
    matrix : int array of shape (n_classes, n_classes), rows true, columns predicted
    k : largest number of cells
    """
    wrong = np.array(matrix)
    np.fill_diagonal(wrong, 0)
    true, predicted = np.nonzero(wrong)  # in the order of (true, predicted)
    counts = wrong[true, predicted]
    order = np.argsort(-counts, kind="stable")[:k]
    return [(int(true[i]), int(predicted[i]), int(counts[i])) for i in order]


def checked_class(index: int, n_classes: int) -> int:
    """Return ``index`` if it is a class.

    Raises
    ------
    ValueError
        If it is not a class.
    """
    if not 0 <= index < n_classes:
        raise ValueError(f"class {index} is not one of the {n_classes} classes")
    return index


def checked_labels(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the class indices as int64 array of shape (n,).

    Parameters
    ----------
    labels : int array of shape (n,)
    n_classes : number of classes

    Raises
    ------
    ValueError
        If a value is not a class, such as the unknown label (-1).
    """
    y = np.asarray(labels, dtype=np.int64)
    if len(y):
        checked_class(int(y.min()), n_classes)
        checked_class(int(y.max()), n_classes)
    return y


def _mean(values: np.ndarray, name: str) -> float:
    if not len(values):
        raise ValueError(f"{name} needs at least one image")
    return float(values.mean())


def binomial_quantile(q: float, n: int, p: float) -> int:
    """Return the ``q`` quantile of the number of hits among ``n``."""
    # Not scipy.special: its import would add a fifth of a second to every start.
    hits = np.arange(n)
    steps = np.log((n - hits) / (hits + 1)) + np.log(p / (1 - p))  # log of pmf(k + 1) / pmf(k)
    log_pmf = np.concatenate([[0.0], np.cumsum(steps)])
    reached = np.cumsum(np.exp(log_pmf - log_pmf.max()))
    return int(np.searchsorted(reached, q * reached[-1]))
