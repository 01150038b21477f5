"""The five categories of images to look at, and the order within each."""

from __future__ import annotations

import numpy as np

from engine.analysis.metrics import checked_class
from engine.runs.predictions import likeliest

CATEGORIES = (
    "random-correct",
    "random-incorrect",
    "most-correct",
    "most-incorrect",
    "most-uncertain",
)
_ROWS_AT_ONCE = 4096


def category_rows(
    category: str,
    y_true: np.ndarray,
    probabilities: np.ndarray,
    *,
    class_index: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Return all rows of a category in the order in which they are shown.

    ``random-correct`` and ``random-incorrect`` are a seeded shuffle of *all* their rows.
    ``most-correct`` and ``most-incorrect`` begin with the highest probability of the predicted
    class, ``most-uncertain`` with the smallest :func:`margin`. Ties keep the order of the rows,
    which are sorted by id. Rows without a label (-1) only take part in ``most-uncertain``.

    Parameters
    ----------
    category : one of ``CATEGORIES``
    y_true : int array of shape (n,)
    probabilities : float64 array of shape (n, n_classes)
    class_index : restricts the result to rows predicted as this class; None means all classes
    seed : of the shuffle; the same seed gives the same order on every machine

    Returns
    -------
    int64 array of shape (m,), positions of rows

    Raises
    ------
    ValueError
        If the category or the class does not exist.
    """
    if category not in CATEGORIES:
        raise ValueError(f"category {category!r} is not one of {', '.join(CATEGORIES)}")
    if class_index is not None:
        checked_class(class_index, probabilities.shape[1])
    y_pred = likeliest(probabilities)
    if category == "most-uncertain":
        rows = np.argsort(margin(probabilities), kind="stable")
    else:
        right = y_true == y_pred if category.endswith("-correct") else y_true != y_pred
        rows = np.flatnonzero(right & (np.asarray(y_true) >= 0))
        if category.startswith("random-"):
            rows = np.random.default_rng(seed).permutation(rows)
        else:
            winning = probabilities[rows, y_pred[rows]]
            rows = rows[np.argsort(-winning, kind="stable")]
    if class_index is not None:
        rows = rows[y_pred[rows] == class_index]
    return rows.astype(np.int64, copy=False)


def margin(probabilities: np.ndarray) -> np.ndarray:
    """Return the difference of the two largest probabilities: 0 for a tie, 1 for certainty.

    Parameters
    ----------
    probabilities : float64 array of shape (n, n_classes), n_classes at least 2

    Returns
    -------
    float64 array of shape (n,)
    """
    n, n_classes = probabilities.shape
    if n_classes == 2:
        return np.asarray(np.abs(probabilities[:, 1] - probabilities[:, 0]))
    result = np.empty(n)
    for start in range(0, n, _ROWS_AT_ONCE):  # in blocks, because np.partition copies its input
        rows = slice(start, start + _ROWS_AT_ONCE)
        top = np.partition(probabilities[rows], n_classes - 2, axis=1)[:, -2:]  # (rows, 2)
        result[rows] = top[:, 1] - top[:, 0]
    return result


def highest_loss_rows(losses: np.ndarray, k: int) -> np.ndarray:
    """Return the ``k`` rows of highest loss, highest first, ties in the order of the rows.

    They are found without sorting all.

    Parameters
    ----------
    losses : float64 array of shape (n,); nan, of a row without a label, comes last

    Returns
    -------
    int64 array of shape (min(k, n),)

    Examples
    --------
    >>> highest_loss_rows(np.array([0.1, 2.0, 0.1, 3.0]), 3)
    array([3, 1, 0])
    """
    if k >= len(losses):
        return np.argsort(-losses, kind="stable")
    last = -np.partition(-losses, k - 1)[k - 1]
    if np.isnan(last):
        return np.argsort(-losses, kind="stable")[:k]
    above = np.flatnonzero(losses > last)
    equal = np.flatnonzero(losses == last)[: k - len(above)]
    return np.concatenate([above[np.argsort(-losses[above], kind="stable")], equal])
