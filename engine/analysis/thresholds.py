"""Precision-recall and ROC curves of two classes, and the images on each side of a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.analysis.intervals import share_with_interval

_MOST_POINTS = 1000


@dataclass(frozen=True, eq=False)
class ThresholdCurves:
    """Precision, recall and false-positive rate at each threshold on P(positive).

    Attributes
    ----------
    thresholds : float64 array of shape (n_points,), descending; images with P(positive) at or above
        it count as positive
    precision, recall, false_positive_rate : float64 arrays of shape (n_points,)
    average_precision : mean of the precisions, weighted by the increase of recall
    roc_auc : area under the ROC curve
    positives : share of images of the positive class
    """

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    false_positive_rate: np.ndarray
    average_precision: float
    roc_auc: float
    positives: float


@dataclass(frozen=True)
class Decisions:
    """Counts and shares at one threshold; shares have 95 % intervals, None without images.

    Attributes
    ----------
    counts : images by true class (negative, positive) and decision (negative, positive)
    accuracy, precision, recall, specificity : share and interval
    """

    counts: tuple[tuple[int, int], tuple[int, int]]
    accuracy: tuple[float | None, tuple[float, float] | None]
    precision: tuple[float | None, tuple[float, float] | None]
    recall: tuple[float | None, tuple[float, float] | None]
    specificity: tuple[float | None, tuple[float, float] | None]


def threshold_curves(positive: np.ndarray, score: np.ndarray) -> ThresholdCurves:
    """Return the curves; at most 1,000 points are kept, and the areas are those of all points.

    Parameters
    ----------
    positive : bool array of shape (n,), whether the image is of the positive class
    score : float64 array of shape (n,), P(positive)

    Raises
    ------
    ValueError
        Unless there are images of both classes.

    References
    ----------
    Davis and Goadrich, "The relationship between Precision-Recall and ROC curves", ICML 2006.

    Examples
    --------
    >>> import numpy as np
    >>> curves = threshold_curves(np.array([False, True, True]), np.array([0.4, 0.3, 0.9]))
    >>> curves.recall.tolist(), curves.roc_auc
    ([0.5, 0.5, 1.0], 0.5)
    """
    n_positive = int(np.count_nonzero(positive))
    if not 0 < n_positive < len(positive):
        raise ValueError("threshold_curves needs images of both classes")
    order = np.argsort(-score, kind="stable")
    falling, hits = score[order], np.asarray(positive)[order]
    last = np.flatnonzero(np.append(np.diff(falling) != 0, True))  # of images with equal scores
    true = np.cumsum(hits)[last]
    false = last + 1 - true
    precision, recall = true / (last + 1), true / n_positive
    rate = false / (len(hits) - n_positive)
    kept = np.unique(np.linspace(0, len(last) - 1, _MOST_POINTS).round().astype(np.int64))
    return ThresholdCurves(
        falling[last][kept], precision[kept], recall[kept], rate[kept],
        average_precision=float(np.sum(np.diff(recall, prepend=0) * precision)),
        roc_auc=float(np.trapezoid(np.append(0, recall), np.append(0, rate))),
        positives=n_positive / len(hits),
    )  # fmt: skip


def decisions(
    positive: np.ndarray, score: np.ndarray, threshold: float, groups: np.ndarray | None = None
) -> Decisions:
    """Return counts, accuracy, precision, recall and specificity at a threshold.

    Parameters
    ----------
    positive, score : as for `threshold_curves`
    threshold : images with this score or a higher one count as positive
    groups : array of shape (n,), equal where images belong together
    """
    called = score >= threshold

    def share(hits: np.ndarray, among: np.ndarray | slice) -> tuple[
        float | None, tuple[float, float] | None
    ]:  # fmt: skip
        return share_with_interval(hits[among], None if groups is None else groups[among])

    counts = [
        [int(np.count_nonzero((positive == true) & (called == decided))) for decided in (0, 1)]
        for true in (0, 1)
    ]
    return Decisions(
        ((counts[0][0], counts[0][1]), (counts[1][0], counts[1][1])),
        accuracy=share(called == positive, slice(None)),
        precision=share(positive, called),
        recall=share(called, positive),
        specificity=share(~called, ~positive),
    )
