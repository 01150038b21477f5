"""The log loss as a function of clip bounds, exact for two classes and fast to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.analysis.clipping import (
    check_bounds,
    clipped_log_loss,
    positive_column,
    validation_losses,
)
from engine.analysis.metrics import (
    loss_of,
    true_class_probability,
)
from engine.analysis.sorted_sums import SortedLosses, SortedRows

_SAMPLED_ROWS = 50_000
_SAMPLED_VALUES = 8_000_000


@dataclass(frozen=True, eq=False)
class TwoClassClipLoss:
    """The log loss of two classes as an exact function of the bounds; built by :func:`clip_loss`.

    Attributes
    ----------
    n, n_classes : images and classes
    sampled_rows : None, because nothing is estimated
    positives, negatives : the images by true class, sorted by P(positive)
    """

    n: int
    n_classes: int
    sampled_rows: None
    positives: SortedLosses
    negatives: SortedLosses

    def at(self, lower: float, upper: float) -> float:
        """Return the exact log loss at these bounds."""
        check_bounds(lower, upper)
        return float(self.estimate(np.asarray(lower), np.asarray(upper)))

    def estimate(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the exact log loss at many bounds, which are arrays of the same shape."""
        positives = self.positives.total(lower, upper, loss_of(lower), loss_of(upper))
        negatives = self.negatives.total(lower, upper, loss_of(1 - lower), loss_of(1 - upper))
        return np.asarray((positives + negatives) / self.n)


@dataclass(frozen=True, eq=False)
class ManyClassClipLoss:
    """The log loss of three or more classes as a function of the bounds, row by row.

    Each row is renormalised after clipping, so the log loss is not a sum of a few values. ``at`` is
    exact and uses every probability. ``estimate`` uses rows sorted beforehand: all rows, or a
    seeded sample of a large table, shifted so that the result is exact without clipping.

    Attributes
    ----------
    n, n_classes : images and classes
    sampled_rows : number of rows that ``estimate`` uses, None for all
    used : int array of shape (m,), those rows, ascending
    """

    n: int
    n_classes: int
    sampled_rows: int | None
    used: np.ndarray
    y_true: np.ndarray  # (n,)
    probabilities: np.ndarray  # (n, n_classes)
    true: np.ndarray  # (m,), probability of the true class
    rows: SortedRows  # (m, n_classes)
    shift: float

    @classmethod
    def of(
        cls, y_true: np.ndarray, probabilities: np.ndarray, seed: int, max_rows: int
    ) -> ManyClassClipLoss:
        """Sort the rows, or a sample of them; see :func:`clip_loss`."""
        losses = validation_losses(y_true, probabilities)
        n, k = probabilities.shape
        m = min(n, max_rows, max(_SAMPLED_VALUES // k, 1))
        rows = np.arange(n)
        if m < n:
            rows = np.sort(np.random.default_rng(seed).choice(n, m, replace=False))
        true = true_class_probability(y_true[rows], probabilities[rows])
        shift = float(losses.mean() - losses[rows].mean())
        sampled = m if m < n else None
        in_order = SortedRows.of(probabilities[rows])
        return cls(n, k, sampled, rows, y_true, probabilities, true, in_order, shift)

    def at(self, lower: float, upper: float) -> float:
        """Return the exact log loss at these bounds."""
        return clipped_log_loss(self.y_true, self.probabilities, lower, upper)

    def estimate(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the log loss at many bounds, arrays of shape (m,)."""
        pairs = zip(lower.tolist(), upper.tolist(), strict=True)
        return np.array([self.per_row(*pair).mean() + self.shift for pair in pairs])

    def per_row(self, lower: float, upper: float) -> np.ndarray:
        """Return the loss of each row that ``estimate`` uses, in their order."""
        return loss_of(np.clip(self.true, lower, upper) / self.rows.clipped_sums(lower, upper))


class ClipLoss(Protocol):
    """The log loss as a function of the bounds, for given labels or for expected labels."""

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""

    @property
    def sampled_rows(self) -> int | None:
        """Return the number of rows that ``estimate`` uses, None for all."""

    def at(self, lower: float, upper: float) -> float:
        """Return the log loss at these bounds."""

    def estimate(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the log loss at many bounds, arrays of one shape."""


def clip_loss(
    y_true: np.ndarray, probabilities: np.ndarray, positive: int | None = None, *, seed: int = 0
) -> ClipLoss:
    """Return the log loss as a function of the bounds that is fast to evaluate repeatedly.

    With two classes, images are sorted once and each evaluation takes microseconds; else see
    :class:`ManyClassClipLoss`; the sample has at most 50,000 rows and 8,000,000 probabilities.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)
    positive : index of the positive class, by default the second of two
    seed : of the sample of rows

    Raises
    ------
    ValueError
        If there are no images, or a label is unknown.
    """
    if probabilities.shape[1] > 2:
        return ManyClassClipLoss.of(y_true, probabilities, seed, _SAMPLED_ROWS)
    losses = validation_losses(y_true, probabilities)
    column = positive_column(positive)
    p, is_positive = probabilities[:, column], y_true == column
    sides = [SortedLosses.of(p[rows], losses[rows]) for rows in (is_positive, ~is_positive)]
    return TwoClassClipLoss(len(losses), 2, None, *sides)
