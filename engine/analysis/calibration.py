"""Whether the probabilities mean what they say: calibration error, reliability, histogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.analysis.metrics import checked_class, checked_labels
from engine.runs.predictions import likeliest


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Predicted against observed frequency, one entry a non-empty bin, from low to high.

    Attributes
    ----------
    mean_predicted, fraction_correct : float64 arrays of shape (n_filled_bins,)
    counts : int64 array of shape (n_filled_bins,), images in the bin
    """

    mean_predicted: np.ndarray
    fraction_correct: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, eq=False)
class ProbabilityHistogram:
    """How many images have which probability, split by what became of them.

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
    """Return how far confidence lies from accuracy: 0 is calibrated, 1 the worst.

    The probability of the predicted class is put into bins of equal width, closed on the right;
    the differences between its mean and the share of hits are averaged, weighted by count.

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
    """Return the calibration errors of models whose probabilities hold exactly.

    Labels are drawn from the probabilities, so that what is left is chance: how far from 0 the
    error of a perfectly calibrated model lies for this number of images.

    Parameters
    ----------
    probabilities : float64 array of shape (n, n_classes), n at least 1

    Returns
    -------
    float64 array of shape (draws,)
    """
    _, confidence = _top(probabilities)
    rng = np.random.default_rng(seed)
    index, counts, predicted = _bins(confidence, n_bins)
    errors = np.empty(draws)
    for draw in range(draws):
        hits = rng.random(len(confidence)) < confidence  # drawn: the predicted class is right
        right = np.bincount(index, weights=hits, minlength=n_bins)
        errors[draw] = np.abs(right - predicted).sum() / len(confidence)
    return errors


def reliability_curve(
    y_true: np.ndarray, probabilities: np.ndarray, n_bins: int = 10, positive: int | None = None
) -> ReliabilityCurve:
    """Compare predicted probability with observed frequency in bins of equal width.

    With ``positive`` given, P(positive) against the share of positives; otherwise the probability
    of the predicted class against the share of hits. Empty bins are left out.

    Raises
    ------
    ValueError
        When a label is unknown, ``positive`` is no class, or ``n_bins`` is below 1.
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
    return ReliabilityCurve(predicted[filled] / n, right[filled] / n, n)


def probability_histogram(
    y_true: np.ndarray, probabilities: np.ndarray, n_bins: int = 50, positive: int | None = None
) -> ProbabilityHistogram:
    """Count images by P(positive), or by the top probability with more than two classes.

    Images without a label (-1) are counted apart. ``positive`` is the second of two unless
    named; naming it with more classes counts by the probability of that class.

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
