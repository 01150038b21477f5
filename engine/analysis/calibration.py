"""Calibration error, reliability diagram and histogram of probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.analysis.metrics import binomial_quantile, checked_class, checked_labels
from engine.runs.predictions import likeliest

_PARTS = 20  # of a bin, in which probabilities are nearly equal


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Predicted against observed frequency, one entry per non-empty bin, from low to high.

    Attributes
    ----------
    mean_predicted, fraction_correct : float64 arrays of shape (n_filled_bins,)
    counts : int64 array of shape (n_filled_bins,), images in the bin
    low, high : float64 arrays of shape (n_filled_bins,), consistency band: 95 % of the observed
        frequencies of a perfectly calibrated model lie within it
    """

    mean_predicted: np.ndarray
    fraction_correct: np.ndarray
    counts: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class ProbabilityHistogram:
    """Number of images by probability, separately for correct, incorrect and unlabelled ones.

    Attributes
    ----------
    edges : float64 array of shape (n_bins + 1,), from 0 to 1
    correct, incorrect, unlabelled : int64 arrays of shape (n_bins,)
    """

    edges: np.ndarray
    correct: np.ndarray
    incorrect: np.ndarray
    unlabelled: np.ndarray


def expected_calibration_error(
    y_true: np.ndarray, probabilities: np.ndarray, n_bins: int = 15
) -> float:
    """Return the mean distance between confidence and accuracy, from 0 to 1.

    Images are put into bins of equal width, closed on the right, by the probability of the
    predicted class. The distance of a bin is that between its mean probability and its share of
    correct images; bins are weighted by their number of images. It is above 0 by chance even for
    a calibrated model, see :func:`calibrated_errors`.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)

    Raises
    ------
    ValueError
        When there are no images, a label is unknown, or ``n_bins`` is below 1.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """
    labels = checked_labels(y_true, probabilities.shape[1])
    if not len(labels):
        raise ValueError("expected_calibration_error needs at least one image")
    y_pred, confidence = _top(probabilities)
    _, predicted, right = _binned(confidence, y_pred == labels, n_bins)
    return float(np.abs(right - predicted).sum() / len(labels))


def calibrated_errors(
    probabilities: np.ndarray, draws: int = 100, n_bins: int = 15, seed: int = 0
) -> np.ndarray:
    """Return calibration errors that a perfectly calibrated model would show by chance.

    Labels are drawn from the probabilities, once for each error: in each of 20 parts of a bin, the
    number of correct images from the binomial distribution of their mean probability, as the
    probabilities within a part are nearly equal.

    Parameters
    ----------
    probabilities : float64 array of shape (n, n_classes), n at least 1

    Returns
    -------
    float64 array of shape (draws,)
    """
    _, confidence = _top(probabilities)
    _, counts, predicted = _bins(confidence, n_bins * _PARTS)
    filled = np.flatnonzero(counts)
    mean = np.minimum(predicted[filled] / counts[filled], 1.0)
    right = np.zeros((draws, n_bins * _PARTS))
    rng = np.random.default_rng(seed)
    right[:, filled] = rng.binomial(counts[filled], mean, size=(draws, len(filled)))
    gaps = (right - predicted).reshape(draws, n_bins, _PARTS).sum(axis=2)
    return np.asarray(np.abs(gaps).sum(axis=1) / len(confidence))


def reliability_curve(
    y_true: np.ndarray, probabilities: np.ndarray, n_bins: int = 10, positive: int | None = None
) -> ReliabilityCurve:
    """Compare predicted probability with observed frequency in bins of equal width.

    With ``positive`` given, P(positive) is compared with the share of positives; otherwise the
    probability of the predicted class with the share of correct images. Empty bins are left out.
    The consistency band is binomial, with the mean probability of the bin.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)

    Raises
    ------
    ValueError
        When a label is unknown, ``positive`` is no class, or ``n_bins`` is below 1.

    References
    ----------
    Bröcker and Smith (2007), Increasing the reliability of reliability diagrams.
    """
    labels = checked_labels(y_true, probabilities.shape[1])
    if positive is None:
        y_pred, score = _top(probabilities)
        hit = y_pred == labels
    else:
        score = probabilities[:, checked_class(positive, probabilities.shape[1])]
        hit = labels == positive
    counts, predicted, right = _binned(score, hit, n_bins)
    filled = counts > 0
    n = counts[filled]
    mean = predicted[filled] / n
    low, high = (
        np.array([_quantile(q, *bin) for bin in zip(n.tolist(), mean.tolist(), strict=True)])
        for q in (0.025, 0.975)
    )
    return ReliabilityCurve(mean, right[filled] / n, n, low, high)


def _quantile(q: float, n: int, p: float) -> float:
    return binomial_quantile(q, n, p) / n if 0 < p < 1 else p


def probability_histogram(
    y_true: np.ndarray, probabilities: np.ndarray, n_bins: int = 50, positive: int | None = None
) -> ProbabilityHistogram:
    """Count images by P(positive), or by the top probability with more than two classes.

    Images without a label (-1) are counted separately. ``positive`` is the second of two classes
    by default; with more classes, giving it counts by the probability of that class.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices, -1 for no label
    probabilities : float64 array of shape (n, n_classes)
    n_bins : number of bins of equal width from 0 to 1

    Raises
    ------
    ValueError
        When ``positive`` is no class.
    """
    y_pred, score = _top(probabilities)
    n_classes = probabilities.shape[1]
    if positive is not None or n_classes == 2:
        score = probabilities[:, checked_class(1 if positive is None else positive, n_classes)]
    edges = np.linspace(0, 1, n_bins + 1)
    known = y_true >= 0
    correct, incorrect, unlabelled = (
        np.histogram(score[rows], bins=n_bins, range=(0, 1))[0].astype(np.int64, copy=False)
        for rows in (known & (y_pred == y_true), known & (y_pred != y_true), ~known)
    )
    return ProbabilityHistogram(edges, correct, incorrect, unlabelled)


def _top(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y_pred = likeliest(probabilities)
    return y_pred, probabilities[np.arange(len(y_pred)), y_pred]


def _binned(
    score: np.ndarray, hit: np.ndarray, n_bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return count, sum of scores and sum of hits of each bin ((m-1)/M, m/M]."""
    index, counts, predicted = _bins(score, n_bins)
    return counts, predicted, np.bincount(index, weights=hit, minlength=n_bins)


def _bins(score: np.ndarray, n_bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bin of each score, and each bin's count and sum of scores."""
    if n_bins < 1:
        raise ValueError(f"n_bins {n_bins} must be at least 1")
    index = np.linspace(0, 1, n_bins + 1)[1:-1].searchsorted(score, side="left")
    counts = np.bincount(index, minlength=n_bins)
    return index, counts, np.bincount(index, weights=score, minlength=n_bins)
