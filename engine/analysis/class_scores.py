"""Precision and recall of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.analysis.intervals import share_with_interval


@dataclass(frozen=True)
class ClassScores:
    """Precision and recall of a class with 95 % intervals, None where undefined, and its images."""

    name: str
    precision: float | None
    precision_interval: tuple[float, float] | None
    recall: float | None
    recall_interval: tuple[float, float] | None
    count: int

    def as_json(self) -> dict[str, Any]:
        """Return the scores without the name."""
        intervals = (self.precision_interval, self.recall_interval)
        precision, recall = (None if pair is None else list(pair) for pair in intervals)
        return {
            "precision": self.precision,
            "precision_interval": precision,
            "recall": self.recall,
            "recall_interval": recall,
            "count": self.count,
        }


def class_scores(
    y_true: np.ndarray, y_pred: np.ndarray, names: tuple[str, ...], groups: np.ndarray | None = None
) -> tuple[ClassScores, ...]:
    """Return the scores of every class.

    Parameters
    ----------
    y_true, y_pred : int arrays of shape (n,)
    names : of the classes; index = class
    groups : array of shape (n,), equal where images belong together
    """
    order = np.argsort(y_true, kind="stable")
    by_label = np.split(order, np.searchsorted(y_true[order], np.arange(1, len(names))))
    order = np.argsort(y_pred, kind="stable")
    by_prediction = np.split(order, np.searchsorted(y_pred[order], np.arange(1, len(names))))
    found = []
    for c, name in enumerate(names):
        rows, predicted = by_label[c], by_prediction[c]
        precision = share_with_interval(y_true[predicted] == c, _of(groups, predicted))
        recall = share_with_interval(y_pred[rows] == c, _of(groups, rows))
        found.append(ClassScores(name, *precision, *recall, len(rows)))
    return tuple(found)


def _of(groups: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if groups is None else groups[rows]
