"""The expected log loss at clip bounds if the test set is harder than the labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.analysis.bounds import best_independent, best_symmetric
from engine.analysis.clip_loss import ClipLoss, clip_loss
from engine.analysis.metrics import accuracy
from engine.runs.predictions import likeliest


@dataclass(frozen=True, eq=False)
class ShiftedLoss:
    """The expected log loss as a function of the bounds, with ``points`` less accuracy.

    It is that of the labelled images after a share of the correct ones has become errors. Made by
    :func:`shifted_loss`; :func:`~engine.analysis.bounds.best_symmetric` and others accept it in
    place of a `ClipLoss`.

    Attributes
    ----------
    points : lost accuracy in percentage points
    accuracy : of the labelled images
    known : log loss of the labelled images
    correct, flipped : log loss of the correct images, and of the same images with another label
    """

    points: float
    accuracy: float
    known: ClipLoss
    correct: ClipLoss
    flipped: ClipLoss

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
        more = self.flipped.estimate(lower, upper) - self.correct.estimate(lower, upper)
        return np.asarray(self.known.estimate(lower, upper) + self.points / 100 * more)

    def per_point(self, lower: float, upper: float) -> float:
        """Return the increase of the log loss for each point, at these bounds."""
        return (self.flipped.at(lower, upper) - self.correct.at(lower, upper)) / 100

    def summary(self, chosen: tuple[float, float]) -> dict[str, Any]:
        """Return the log loss without clipping, at the chosen bounds and at the best ones."""
        bound, symmetric = best_symmetric(self)
        lower, upper, independent = best_independent(self)
        before = self.known.at(0, 1)
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
                    "cost_if_not_worse": self.known.at(low, high) - before,
                }
                for name, (low, high, loss) in pairs.items()
            },
        }


def shifted_loss(
    y_true: np.ndarray, probabilities: np.ndarray, points: float, positive: int | None = None
) -> ShiftedLoss:
    """Return the expected log loss of a test set with ``points`` less accuracy.

    Each correct image is equally likely to become an error: its prediction stays, and its label
    becomes the second most likely class. So the accuracy falls by ``points`` percent of the
    images, with errors as confident as the correct predictions are. Such errors raise the log
    loss most, and it grows linearly with ``points``.

    Solutions published for Kaggle's Dogs vs. Cats Redux report 0.0119 on their validation set and
    0.0414 on the leaderboard, and 0.0062 and 0.030; at the bound 0.005, where such an error costs
    5.3, that is about half a point.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)
    points : drop in accuracy, in percentage points
    positive : index of the positive class, by default the second of two

    Raises
    ------
    ValueError
        When a label is unknown, no image is correct, or ``points`` lies outside 0 to 100 times the
        accuracy.
    """
    correct = likeliest(probabilities) == y_true
    share = accuracy(y_true, probabilities)
    if not correct.any():
        raise ValueError("no image is predicted correctly, so none can become an error")
    if not 0 <= points <= 100 * share:
        raise ValueError(f"points {points} must lie between 0 and {100 * share:g}")
    p = probabilities[correct]
    second = p.copy()
    second[np.arange(len(p)), y_true[correct]] = -1
    flipped = second.argmax(axis=1)
    return ShiftedLoss(
        points,
        share,
        clip_loss(y_true, probabilities, positive),
        clip_loss(y_true[correct], p, positive),
        clip_loss(flipped, p, positive),
    )
