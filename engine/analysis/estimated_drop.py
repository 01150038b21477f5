"""How much less accurate a test set is than the labelled images, by the scores of submissions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.clipping import clip_probabilities
from engine.analysis.intervals import group_values, loss_interval, unseen_error_loss
from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.shift import ShiftedLoss
from engine.analysis.stats import Z

_MOST_SCORES = 10
_SMALLEST_SLOPE = 1e-9


@dataclass(frozen=True)
class EstimatedDrop:
    """The drop in accuracy that scores of submissions show.

    Attributes
    ----------
    points : percentage points, the median over the submissions, at least 0
    interval : 95 %, for the noise of the labelled images and of the test images
    n_scores : submissions with a score
    contradictory : whether two scores at different bounds show drops that differ beyond noise
    """

    points: float
    interval: tuple[float, float]
    n_scores: int
    contradictory: bool

    @property
    def sentence(self) -> str:
        """Return the drop and its interval in one sentence."""
        one = self.n_scores == 1
        what = (
            "The score of the submission" if one else f"The scores of {self.n_scores:,} submissions"
        )
        low, high = self.interval
        points = f"{self.points:.2g} points (95 % interval {low:.2g} to {high:.2g})"
        said = f"{what} {'suggests' if one else 'suggest'} a drop in accuracy of {points}."
        if low == 0:
            said += f" {'One score' if one else 'That'} cannot distinguish it from no drop."
        if self.contradictory:
            said += (
                " Two of them differ by more than noise: the errors of the test set are not those "
                "that this model of a drop assumes."
            )
        return said


@dataclass(frozen=True, eq=False)
class _Score:
    """A score as points of accuracy, and the same of each labelled image's loss."""

    points: float
    interval: tuple[float, float]
    per_image: np.ndarray  # or per group
    unseen: float


def estimated_drop(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    loss: ShiftedLoss,
    scores: Sequence[tuple[float, float, float]],
    n_test: int,
    positive: int | None = None,
    *,
    groups: np.ndarray | None = None,
) -> EstimatedDrop | None:
    """Return the drop in accuracy that the scores of submissions show.

    Parameters
    ----------
    y_true : int array of shape (n,)
    probabilities : float64 array of shape (n, n_classes), without correction
    loss : the expected loss after a drop; its ``points`` are not used
    scores : (lower, upper, score) of each submission, newest first; the first ten are used
    n_test : test images, 0 for as many as there are labelled ones
    groups : int array of shape (n,), equal where images belong together; they count as one

    Returns
    -------
    EstimatedDrop or None
        None if no score can be used.
    """
    noise = (1 + len(y_true) / (n_test or len(y_true))) ** 0.5
    found = []
    for lower, upper, score in scores[:_MOST_SCORES]:
        slope = loss.per_point(lower, upper)
        if np.isfinite(score) and slope > _SMALLEST_SLOPE:
            p = clip_probabilities(probabilities, lower, upper, positive)
            found.append(_of_score(y_true, p, score, slope, noise, groups))
    if not found:
        return None
    middle = sorted(found, key=lambda one: one.points)[(len(found) - 1) // 2]
    most = 100 * loss.accuracy
    points = float(np.median([one.points for one in found]))
    low, high = (float(np.clip(end, 0, most)) for end in middle.interval)
    contradictory = any(
        _differ(one, other, noise) for i, one in enumerate(found) for other in found[:i]
    )
    return EstimatedDrop(min(max(points, 0.0), most), (low, high), len(found), contradictory)


def _of_score(
    y: np.ndarray,
    p: np.ndarray,
    score: float,
    slope: float,
    noise: float,
    groups: np.ndarray | None,
) -> _Score:
    losses, unseen = per_sample_log_loss(y, p), unseen_error_loss(y, p)
    if groups is not None:
        losses = group_values(losses, groups)
    mean = float(losses.mean())
    low, high = loss_interval(losses, unseen)
    ends = (score - mean - noise * (high - mean), score - mean + noise * (mean - low))
    interval = (ends[0] / slope, ends[1] / slope)
    return _Score((score - mean) / slope, interval, losses / slope, unseen / slope)


def _differ(one: _Score, other: _Score, noise: float) -> bool:
    """Tell whether two scores show different drops, beyond the noise that they do not share."""
    values = np.append(one.per_image - other.per_image, one.unseen - other.unseen)
    error = noise * float(values.std(ddof=1)) / len(values) ** 0.5
    return bool(abs(one.points - other.points) > Z * error + 1e-9)
