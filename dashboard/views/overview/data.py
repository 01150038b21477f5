"""Data of the Overview page: metrics, charts and quarantined images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from plotly.graph_objects import Figure

from dashboard.review import verdicts
from dashboard.selection import rows
from dashboard.selection.image_filter import ImageFilter
from dashboard.shared import tables
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis import calibration, metrics
from engine.analysis.causes import CauseLoss, loss_by_cause
from engine.analysis.intervals import loss_interval, proportion_interval, turned_loss
from engine.runs.run import open_run
from engine.runs.run_config import PrecisionCheck


@dataclass(frozen=True, eq=False)
class Overview:
    """The metrics of the Overview page for labelled predictions.

    Attributes
    ----------
    accuracy, log_loss : the figure and its 95 % interval
    matrix : int64 array of shape (n_classes, n_classes), rows true, columns predicted
    pairs : the largest off-diagonal cells as (true, predicted, count)
    concentration : counts and shares, see `metrics.loss_concentration`
    highest_loss : rows of the images of highest loss, highest first
    """

    accuracy: tuple[float, float, float]
    log_loss: tuple[float, float, float]
    matrix: np.ndarray
    pairs: list[tuple[int, int, int]]
    calibration_error: float
    histogram: calibration.ProbabilityHistogram
    reliability: calibration.ReliabilityCurve
    concentration: tuple[np.ndarray, np.ndarray]
    highest_loss: np.ndarray


def overview(table: Table) -> Overview:
    """Return the metrics of a labelled table."""
    return _overview(table.key)


def figure(table: Table, name: str, draw: Callable[[Table, Overview], Figure]) -> Figure:
    """Return a cached chart of the overview; ``name`` identifies the drawing function."""
    return _figure(table.key, name, draw)


def quarantine(name: str) -> pd.DataFrame:
    """Return the quarantined images, with reasons."""
    run = open_run(name)
    return _quarantine(run.name, stamp_of(run.folder / "quarantine.csv"))


def loss_by_causes(table: Table) -> list[CauseLoss]:
    """Return the log loss of the images by the cause given in verdicts."""
    return _loss_by_causes(table.key, verdicts.stamp())


def precision(name: str) -> tuple[str, PrecisionCheck] | None:
    """Return a run's precision and its difference to float32, or None if unknown."""
    config = open_run(name).config
    check, options = config.precision_check, config.options
    return (options.precision, check) if check and options else None


@st.cache_resource(max_entries=8, show_spinner=False)
def _overview(key: Key) -> Overview:
    table = cached_table(key)
    y_true, p = table.predictions.y_true, table.predictions.probabilities
    n_classes = p.shape[1]
    hits = table.y_pred == y_true
    matrix = metrics.confusion_matrix(y_true, table.y_pred, n_classes)
    return Overview(
        (float(hits.mean()), *proportion_interval(int(hits.sum()), len(hits))),
        (
            float(table.loss.mean()),
            *loss_interval(table.loss, turned_loss(y_true, p)),
        ),
        matrix,
        metrics.most_confused(matrix, 10),
        calibration.expected_calibration_error(y_true, p),
        calibration.probability_histogram(y_true, p, positive=table.positive),
        calibration.reliability_curve(y_true, p, positive=table.positive),
        metrics.loss_concentration(table.loss),
        rows.rows(table, ImageFilter())[:64],
    )


@st.cache_resource(max_entries=24, show_spinner=False)
def _figure(key: Key, name: str, _draw: Callable[[Table, Overview], Figure]) -> Figure:
    return _draw(cached_table(key), _overview(key))


@st.cache_resource(max_entries=8, show_spinner=False)
def _quarantine(name: str, stamp: Stamp) -> pd.DataFrame:
    return open_run(name).quarantine if any(stamp) else pd.DataFrame(columns=["path", "reason"])


@st.cache_resource(max_entries=8, show_spinner=False)
def _loss_by_causes(key: Key, stamp: Stamp) -> list[CauseLoss]:
    known, table = verdicts.standing(), cached_table(key)
    if not any(verdict.cause for verdict in known.standing.values()):
        return []
    facts = tables.facts(table, np.arange(len(table)))
    said = map(known.of, facts["sha256"].to_pylist(), facts["given"].to_pylist())
    return loss_by_cause(table.loss, [verdict.cause if verdict else "" for verdict in said])
