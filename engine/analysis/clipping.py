"""Clips probabilities to bounds, and computes the log loss as a function of the bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.analysis.metrics import (
    checked_class,
    loss_of,
    per_sample_log_loss,
    true_class_probability,
)
from engine.analysis.sorted_sums import SortedLosses, SortedRows
from engine.errors import UserError

_SAMPLED_ROWS = 50_000
_SAMPLED_VALUES = 8_000_000
_BLOCK_VALUES = 500_000


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


def check_bounds(lower: float, upper: float) -> None:
    """Raise an error unless 0 <= lower < upper <= 1.

    Raises
    ------
    UserError
        If the bounds are invalid; the message names the option.
    """
    for option, value in (("lower", lower), ("upper", upper)):
        if not 0 <= value <= 1:
            raise UserError("must lie between 0 and 1.", option=option, value=value)
    if not lower < upper:
        # Either may be the run's own, so neither is named as an option that was given.
        raise UserError(f"The lower bound {lower:g} must be smaller than the upper {upper:g}.")


def clip_probabilities(
    probabilities: np.ndarray, lower: float, upper: float, positive: int | None = None
) -> np.ndarray:
    """Return the probabilities clipped to the bounds.

    With two classes, P(positive) is clipped and the other probability is 1 minus it; a row within
    the bounds is unchanged. With more classes, every probability is clipped and the row is divided
    by its sum, which can move a probability outside the bounds again.

    Parameters
    ----------
    probabilities : float64 array of shape (n, n_classes)
    lower, upper : 0 <= lower < upper <= 1
    positive : index of the positive one of two classes, by default the second

    Returns
    -------
    float64 array of shape (n, n_classes)

    Raises
    ------
    UserError
        Unless 0 <= lower < upper <= 1.
    ValueError
        If ``positive`` is not one of two classes.
    """
    check_bounds(lower, upper)
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), lower, upper)
    if probabilities.shape[1] > 2:
        clipped /= clipped.sum(axis=1, keepdims=True)
        return clipped
    column = positive_column(positive)
    p, q = probabilities[:, column], probabilities[:, 1 - column]
    limited = clipped[:, column]
    clipped[:, 1 - column] = np.where(limited == p, q, 1 - limited)
    return clipped


def clipped_log_loss(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    lower: float,
    upper: float,
    positive: int | None = None,
) -> float:
    """Return the log loss after :func:`clip_probabilities`, without a second table in memory.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)
    lower, upper : 0 <= lower < upper <= 1
    positive : index of the positive class, by default the second of two

    Raises
    ------
    UserError
        Unless 0 <= lower < upper <= 1.
    ValueError
        If there are no images, or a label is unknown.
    """
    check_bounds(lower, upper)
    losses = [
        validation_losses(
            y_true[rows], clip_probabilities(probabilities[rows], lower, upper, positive)
        )
        for rows in row_blocks(*probabilities.shape)
    ]
    return float(np.concatenate(losses).mean())


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


def touched(
    probabilities: np.ndarray, lower: float, upper: float, positive: int | None = None
) -> tuple[int, int]:
    """Count the predictions below ``lower`` and above ``upper``, which clipping changes.

    With two classes P(positive) counts, with more classes any probability of the row.

    Parameters
    ----------
    probabilities : float64 array of shape (n, n_classes)
    lower, upper : 0 <= lower < upper <= 1
    positive : index of the positive class, by default the second of two

    Raises
    ------
    UserError
        Unless 0 <= lower < upper <= 1.
    """
    check_bounds(lower, upper)
    if probabilities.shape[1] == 2:
        smallest = largest = probabilities[:, positive_column(positive)]
    else:
        smallest, largest = probabilities.min(axis=1), probabilities.max(axis=1)
    return int(np.count_nonzero(smallest < lower)), int(np.count_nonzero(largest > upper))


def confident_error_cost(lower: float, upper: float, n: int, n_classes: int = 2) -> float:
    """Return the amount that one confident error adds to the mean log loss of ``n`` images.

    The probability of its true class lies at the bound: the larger of -log(lower) and
    -log(1 - upper) for two classes. For more classes, one incorrect class lies at ``upper`` and all
    others at ``lower``, renormalised.

    Raises
    ------
    UserError
        Unless 0 <= lower < upper <= 1.
    ValueError
        If ``n`` is below 1.
    """
    check_bounds(lower, upper)
    if n < 1:
        raise ValueError(f"n {n} must be at least 1")
    p = lower / (upper + (n_classes - 1) * lower) if n_classes > 2 else min(lower, 1 - upper)
    return float(loss_of(np.asarray(p))) / n


def validation_losses(y_true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the log loss of each image, float64 array of shape (n,) and never empty.

    Parameters
    ----------
    y_true : int array of shape (n,), class indices
    probabilities : float64 array of shape (n, n_classes)

    Raises
    ------
    ValueError
        If there are no images, or a label is unknown.
    """
    if len(y_true) == 0:
        raise ValueError("clip bounds need at least one labelled image")
    return per_sample_log_loss(y_true, probabilities)


def positive_column(positive: int | None) -> int:
    """Return the column of the positive class: the second of two unless given."""
    return 1 if positive is None else checked_class(positive, 2)


def row_blocks(n: int, n_classes: int) -> Iterator[slice]:
    """Yield slices of rows that hold half a million values each, of a table (n, n_classes)."""
    rows = max(_BLOCK_VALUES // n_classes, 1)
    return (slice(start, start + rows) for start in range(0, max(n, 1), rows))
