"""Clips probabilities to bounds, and computes the log loss as a function of the bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.analysis.metrics import (
    checked_class,
    loss_of,
    per_sample_log_loss,
)
from engine.errors import UserError

_BLOCK_VALUES = 500_000


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
