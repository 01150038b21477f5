"""What bounds cost if the test set is harder than the images that they were chosen on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.analysis.bounds import best_independent, best_symmetric
from engine.analysis.clipping import ClipLoss, clip_loss
from engine.analysis.metrics import accuracy
from engine.runs.predictions import likeliest


@dataclass(frozen=True, eq=False)
class WorseLoss:
    """The expected log loss as a function of the bounds, on a test set ``points`` worse.

    It is that of the labelled images, of which a share that were right have become errors. Built
    by :func:`worse_loss`; :func:`~engine.analysis.bounds.best_symmetric` and others take it for
    what `clip_loss` returns.

    Attributes
    ----------
    points : percentage points of accuracy that are lost
    accuracy : of the labelled images
    known : log loss of the labelled images as they are
    right, turned : log loss of those that are right, and of the same with another label
    """

    points: float
    accuracy: float
    known: ClipLoss
    right: ClipLoss
    turned: ClipLoss

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return self.known.n_classes

    @property
    def sampled_rows(self) -> int | None:
        """Return how many rows ``estimate`` looks at, None when all."""
        return self.known.sampled_rows

    def at(self, lower: float, upper: float) -> float:
        """Return the expected log loss at these bounds."""
        return self.known.at(lower, upper) + self.points * self.per_point(lower, upper)

    def estimate(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the expected log loss at many bounds, arrays of one shape."""
        more = self.turned.estimate(lower, upper) - self.right.estimate(lower, upper)
        return np.asarray(self.known.estimate(lower, upper) + self.points / 100 * more)

    def per_point(self, lower: float, upper: float) -> float:
        """Return what each point adds at these bounds."""
        return (self.turned.at(lower, upper) - self.right.at(lower, upper)) / 100

    def summary(self, chosen: tuple[float, float]) -> dict[str, Any]:
        """Return what it costs without clipping, at the chosen bounds and at the best ones."""
        bound, symmetric = best_symmetric(self)
        lower, upper, independent = best_independent(self)
        unworse = self.known.at(0, 1)
        pairs = {
            "best_symmetric": (bound, 1 - bound, symmetric),
            "best_independent": (lower, upper, independent),
        }
        return {
            "points": self.points,
            "raw": self.at(0, 1),
            "at_chosen": self.at(*chosen),
            **{
                name: {
                    "lower": low,
                    "upper": high,
                    "log_loss": loss,
                    "cost_if_not_worse": self.known.at(low, high) - unworse,
                }
                for name, (low, high, loss) in pairs.items()
            },
        }


def worse_loss(
    y_true: np.ndarray, probabilities: np.ndarray, points: float, positive: int | None = None
) -> WorseLoss:
    """Prepare the expected log loss of a test set that is ``points`` of accuracy worse.

    Of the images that are right, each is as likely as the next to become an error: its
    prediction stays and its label becomes the class held second likeliest. So the accuracy falls
    by ``points`` percent of the images, at the confidence that the model has where it is right.
    That is the harmful kind of error, and the expected log loss grows with ``points`` in a
    straight line. Solutions published for Kaggle's Dogs vs. Cats Redux report 0.0119 on their
    validation set and 0.0414 on the leaderboard, and 0.0062 and 0.030; at the bound 0.005, where
    such an error costs 5.3, that is about half a point.

    Raises
    ------
    ValueError
        When a label is unknown, no image is right, or ``points`` lies outside 0 to 100 times the
        accuracy.
    """
    right = likeliest(probabilities) == y_true
    share = accuracy(y_true, probabilities)
    if not right.any():
        raise ValueError("no image is right, so that none can become an error")
    if not 0 <= points <= 100 * share:
        raise ValueError(f"points {points} must lie between 0 and {100 * share:g}")
    p = probabilities[right]
    second = p.copy()
    second[np.arange(len(p)), y_true[right]] = -1
    turned = second.argmax(axis=1)
    return WorseLoss(
        points,
        share,
        clip_loss(y_true, probabilities, positive),
        clip_loss(y_true[right], p, positive),
        clip_loss(turned, p, positive),
    )


def learned_sentence(points: float, n: int) -> str:
    """Say what the scores of ``n`` submissions tell about the test set."""
    what = "score of the submission is" if n == 1 else f"scores of the {n:,} submissions are"
    if points == 0:
        return f"The {what} no worse than the labelled images promise."
    return f"The {what} what a test set {points:.2g} points worse than these images would give."


def learned_points(loss: WorseLoss, scores: Iterable[tuple[float, float, float]]) -> float | None:
    """Return how many points worse the test set is by the scores that submissions got.

    Parameters
    ----------
    loss : of the run; its own points do not matter
    scores : (lower, upper, score) of each submission

    Returns
    -------
    float or None
        The median over the submissions, at least 0; None when no score says anything.
    """
    found = []
    for lower, upper, score in scores:
        slope = loss.per_point(lower, upper)
        if np.isfinite(score) and slope > 1e-9:
            found.append((score - loss.known.at(lower, upper)) / slope)
    return min(max(float(np.median(found)), 0.0), 100 * loss.accuracy) if found else None
