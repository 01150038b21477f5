"""Two ways to blend probabilities: their weighted mean, and weighted log odds at a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.metrics import EPSILON
from engine.runs.predictions import Predictions

MEAN, LOG_ODDS = "probabilities", "log odds"
_LARGEST = 20.0  # of the sum of weights on log odds, so that separable images have an optimum


@dataclass(frozen=True, eq=False)
class Pool:
    """How the probabilities of several runs are combined.

    Attributes
    ----------
    kind : "probabilities" for their weighted mean; "log odds" for the softmax of the weighted sum
        of their logarithms
    weights : float64 array of shape (n_runs,), not negative, sum 1
    temperature : of log odds, which are divided by it
    """

    kind: str
    weights: np.ndarray
    temperature: float = 1.0

    def probabilities(self, tables: Sequence[Predictions]) -> np.ndarray:
        """Return the blended probabilities, (n, n_classes); the tables have the same rows."""
        pooled = np.zeros_like(tables[0].probabilities)
        if self.kind == MEAN:
            for weight, table in zip(self.weights.tolist(), tables, strict=True):
                pooled += weight * table.probabilities
            return np.asarray(pooled / pooled.sum(axis=1, keepdims=True))
        for weight, table in zip(self.weights.tolist(), tables, strict=True):
            pooled += weight / self.temperature * _log(table.probabilities)
        pooled -= pooled.max(axis=1, keepdims=True)
        np.exp(pooled, out=pooled)
        return np.asarray(pooled / pooled.sum(axis=1, keepdims=True))


def log_odds_pool(tables: Sequence[Predictions], start: np.ndarray | None = None) -> Pool:
    """Return the weights and the temperature on log odds with the lowest log loss.

    The log loss is convex in the weights divided by the temperature, which are found by L-BFGS-B.
    The prior is that of one row per run: half the squared distance from the mean of all runs.

    Parameters
    ----------
    tables : one table per run, with the same labelled images in the same rows
    start : weights divided by the temperature to start from; the mean by default

    References
    ----------
    Ranjan, Gneiting (2010), Combining probability forecasts.
    """
    from scipy.optimize import minimize

    y, n = tables[0].y_true, len(tables[0])
    logs = np.stack([_log(table.probabilities) for table in tables])  # (n_runs, n, n_classes)
    true = logs[:, np.arange(n), y]  # (n_runs, n)
    mean = np.full(len(tables), 1 / len(tables))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.tensordot(weights, logs, 1)  # (n, n_classes)
        scores -= scores.max(axis=1, keepdims=True)
        p = np.exp(scores)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        away = weights - mean
        value = float((np.log(total[:, 0]) - scores[np.arange(n), y]).mean() + away @ away / 2 / n)
        slope = (np.einsum("rnk,nk->r", logs, p) - true.sum(axis=1) + away) / n
        return value, slope

    found = minimize(
        loss, mean if start is None else start, jac=True, method="L-BFGS-B",
        bounds=[(0, _LARGEST)] * len(tables), options={"ftol": 1e-12, "gtol": 1e-9},
    ).x  # fmt: skip
    total = float(found.sum())
    if total < 1e-9:  # all runs together say nothing
        return Pool(LOG_ODDS, mean, 1e9)
    return Pool(LOG_ODDS, found / total, 1 / total)


def _log(p: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.maximum(p, EPSILON)))
