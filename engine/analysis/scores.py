"""The scores of labelled predictions, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.analysis.calibration import calibrated_errors, expected_calibration_error
from engine.analysis.intervals import (
    effective_counts,
    loss_interval,
    proportion_interval,
    unseen_error_loss,
)
from engine.analysis.metrics import confusion_matrix, per_sample_log_loss
from engine.runs.predictions import likeliest


class Expected(NamedTuple):
    """The calibration error of a perfectly calibrated model: its mean and its 95th percentile."""

    mean: float
    percentile_95: float


@dataclass(frozen=True, eq=False)
class Metrics:
    """Scores of labelled predictions; intervals hold 95 %.

    Attributes
    ----------
    n : int
        Images.
    accuracy : float
        Share of images whose likeliest class is the true one.
    accuracy_interval : tuple of float
        Its interval.
    log_loss : float
        Mean of -log of the true class's probability, natural logarithm.
    log_loss_interval : tuple of float
        Its interval.
    calibration_error : float
        Mean distance of confidence from accuracy, in 15 bins of equal width.
    calibration_error_expected : Expected
        That of a perfectly calibrated model with these probabilities: ``mean`` and
        ``percentile_95``.
    confusion_matrix : ndarray of int64, shape (n_classes, n_classes)
        Images by true class (rows) and predicted class (columns).
    """

    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: float
    log_loss_interval: tuple[float, float]
    calibration_error: float
    calibration_error_expected: Expected
    confusion_matrix: np.ndarray


def score(
    y_true: np.ndarray, probabilities: np.ndarray, groups: np.ndarray | None = None, seed: int = 0
) -> Metrics:
    """Return the scores of labelled predictions.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes), rows sum to 1
    groups : int array of shape (n,), numbered from 0; a group then counts as one observation
    """
    losses = per_sample_log_loss(y_true, probabilities)
    y_pred = likeliest(probabilities)
    hits = y_pred == y_true
    drawn = calibrated_errors(probabilities, seed=seed)

    return Metrics(
        n=len(losses),
        accuracy=float(hits.mean()),
        accuracy_interval=proportion_interval(*effective_counts(hits, groups)),
        log_loss=float(losses.mean()),
        log_loss_interval=loss_interval(losses, unseen_error_loss(y_true, probabilities), groups),
        calibration_error=expected_calibration_error(y_true, probabilities),
        calibration_error_expected=Expected(float(drawn.mean()), float(np.quantile(drawn, 0.95))),
        confusion_matrix=confusion_matrix(y_true, y_pred, probabilities.shape[1]),
    )
