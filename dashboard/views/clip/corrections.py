"""Caches for the Clip page: compared corrections, and the expected loss on a harder test set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard.shared.cache import cached
from dashboard.shared.tables import Key, Table, cached_table, groups
from engine.analysis import bounds as best
from engine.analysis.compared_corrections import Comparison
from engine.analysis.estimated_drop import EstimatedDrop, estimated_drop
from engine.analysis.recommendation import compare_corrections
from engine.analysis.shift import ShiftedLoss, shifted_loss
from engine.competition.records import scored_bounds
from engine.runs.run_list import open_run

MOST_POINTS, STEP = 3.0, 0.05


@dataclass(frozen=True, eq=False)
class ShiftedCurve:
    """The expected log loss for an assumed drop in test accuracy, and the best bounds for it.

    Attributes
    ----------
    losses : at the symmetric bounds of the default curve, float64 array of shape (m,)
    symmetric : the best symmetric bound and its log loss
    independent : the best pair and its log loss, with two classes
    """

    loss: ShiftedLoss
    losses: np.ndarray
    symmetric: tuple[float, float]
    independent: tuple[float, float, float] | None


def comparison(table: Table) -> Comparison | None:
    """Compare all corrections; None if there are too few images."""
    return _comparison(table.key) if len(table) >= 10 else None


def shifted_curve(table: Table, points: float) -> ShiftedCurve | None:
    """Return the expected loss for this drop in accuracy, or None if no image is correct."""
    if points == 0 or not (table.y_pred == table.predictions.y_true).any():
        return None
    return _shifted_curve(table.key, points)


def estimated(table: Table) -> EstimatedDrop | None:
    """Return the drop in accuracy that the scores of submissions show so far."""
    run = open_run(table.key[0])
    scores = scored_bounds(run.folder / "submissions")
    if not scores or not (table.y_pred == table.predictions.y_true).any():
        return None
    y_true, p = table.predictions.y_true, table.predictions.probabilities
    at = _shifted_loss(table.key, 0.0)
    n_test, positive = run.config.n.test, _positive(table)
    return estimated_drop(y_true, p, at, scores, n_test, positive, groups=groups(table))


@st.cache_resource(max_entries=4, show_spinner="Comparing corrections…")
def _comparison(key: Key) -> Comparison:
    table = cached_table(key)
    y_true, p = table.predictions.y_true, table.predictions.probabilities
    return compare_corrections(y_true, p, _positive(table), groups=groups(table))


@cached(8)
def _shifted_curve(key: Key, points: float) -> ShiftedCurve:
    loss = _shifted_loss(key, points)
    _, losses = best.symmetric_curve(loss)
    pair = best.best_independent(loss) if loss.n_classes == 2 else None
    return ShiftedCurve(loss, losses, best.best_symmetric(loss), pair)


@cached(8)
def _shifted_loss(key: Key, points: float) -> ShiftedLoss:
    table = cached_table(key)
    y_true, p = table.predictions.y_true, table.predictions.probabilities
    return shifted_loss(y_true, p, points, _positive(table))


def _positive(table: Table) -> int | None:
    return table.positive if len(table.predictions.class_names) == 2 else None
