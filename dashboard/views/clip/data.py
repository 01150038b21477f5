"""Data of the Clip page: the log loss as a function of the bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard.shared.cache import cached
from dashboard.shared.tables import Key, Table, groups, table
from engine.analysis import bounds as best
from engine.analysis.clip_loss import ClipLoss, clip_loss

REACH = 5.0
_BARS = 72


@dataclass(frozen=True, eq=False)
class ClipLossCurve:
    """The log loss of a labelled table as a function of the bounds.

    Attributes
    ----------
    loss : the log loss as a function of the bounds
    before : log loss without clipping
    bounds, losses : the curve over symmetric bounds, float64 arrays of shape (m,)
    symmetric : the best symmetric bound and its log loss
    independent : the best pair and its log loss, with two classes
    band : bootstrap intervals
    """

    loss: ClipLoss
    before: float
    bounds: np.ndarray
    losses: np.ndarray
    symmetric: tuple[float, float]
    independent: tuple[float, float, float] | None
    band: best.BootstrapBand


def clip_loss_curve(table: Table) -> ClipLossCurve:
    """Return the log loss of a labelled table as a function of the bounds."""
    return _clip_loss_curve(table.key)


def bars(table: Table) -> np.ndarray:
    """Count images by log odds of their score between -REACH and REACH, int64 (n_bars,)."""
    return _bars(table.key)


@st.cache_resource(max_entries=4, show_spinner="Computing the effect of the bounds…")
def _clip_loss_curve(key: Key) -> ClipLossCurve:
    known = table(key[0], key[1])
    y_true, p = known.predictions.y_true, known.predictions.probabilities
    positive = known.positive if p.shape[1] == 2 else None
    loss = clip_loss(y_true, p, positive)
    grid, losses = best.symmetric_curve(loss)
    return ClipLossCurve(
        loss,
        loss.at(0.0, 1.0),
        grid,
        losses,
        best.best_symmetric(loss),
        best.best_independent(loss) if loss.n_classes == 2 else None,
        best.bootstrap_best_symmetric(y_true, p, positive, groups=groups(known)),
    )


@cached(8)
def _bars(key: Key) -> np.ndarray:
    score = table(key[0], key[1]).score
    with np.errstate(divide="ignore"):
        odds = np.log10(score) - np.log10(1 - score)
    counts = np.histogram(np.clip(odds, -REACH, REACH), bins=_BARS, range=(-REACH, REACH))[0]
    return counts.astype(np.int64)
