"""The weights of a blend that are as good as the chosen ones within noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.analysis.gain import difference_interval
from engine.analysis.intervals import unseen_error_loss
from engine.analysis.metrics import loss_of, true_class_probability
from engine.analysis.pools import Pool
from engine.runs.predictions import Predictions

_TRIED = np.linspace(0, 1, 21)
_VALUES = 4_000_000  # probabilities of all runs; of larger tables every k-th image is used


def weight_ranges(
    tables: Sequence[Predictions], pool: Pool, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return the smallest and largest weight of each run that is as good within noise.

    A weight is as good if the 95 % interval of its loss minus that of the chosen weights begins at
    or below 0, one unseen error included. The other runs share the rest as they do in the blend.
    Weights are tried in steps of 0.05. In large tables a part of the images is used, which makes
    the ranges wider.

    Parameters
    ----------
    tables : one table a run, with the same labelled images in the same rows
    pool : the blend
    groups : array of shape (n,), equal where images belong together; they count as one

    Returns
    -------
    float64 array of shape (n_runs, 2)
    """
    values = len(tables) * tables[0].probabilities.size
    if values > _VALUES:
        rows = np.arange(0, len(tables[0]), -(-values // _VALUES))
        tables = [table.take(rows) for table in tables]
        groups = None if groups is None else groups[rows]
    if len(tables) == 2:
        low, high = _range(tables, pool, 0, groups)
        return np.array([[low, high], [1 - high, 1 - low]])
    return np.array([_range(tables, pool, run, groups) for run in range(len(tables))])


def _range(
    tables: Sequence[Predictions], pool: Pool, run: int, groups: np.ndarray | None
) -> tuple[float, float]:
    chosen, turned = _losses(tables, pool)
    weight = float(pool.weights[run])
    ends = []
    for tried in (_TRIED[_TRIED < weight][::-1], _TRIED[_TRIED > weight]):
        end = weight
        for other in tried.tolist():  # away from the chosen weight; the log loss is convex
            losses, further = _losses(tables, _with_weight(pool, run, other))
            if difference_interval(losses - chosen, further - turned, groups, 1.0)[0] > 0:
                break
            end = other
        ends.append(end)
    return ends[0], ends[1]


def _with_weight(pool: Pool, run: int, weight: float) -> Pool:
    """Return the pool with another weight of one run."""
    others = np.delete(pool.weights, run)
    total = float(others.sum())
    others = others / total if total > 0 else np.full(len(others), 1 / len(others))
    return Pool(pool.kind, np.insert(others * (1 - weight), run, weight), pool.temperature)


def _losses(tables: Sequence[Predictions], pool: Pool) -> tuple[np.ndarray, float]:
    """Return the loss of each image, (n,), and that of an unseen error."""
    y, p = tables[0].y_true, pool.probabilities(tables)
    return loss_of(true_class_probability(y, p)), unseen_error_loss(y, p)
