"""Data of the Overview page: metrics, charts and quarantined images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from dashboard.gallery.tiles import images_of
from dashboard.review import standing
from dashboard.selection import rows
from dashboard.selection.filters import PREDICTED, TRUE
from dashboard.selection.image_filter import ImageFilter
from dashboard.shared import tables
from dashboard.shared.cache import cached
from dashboard.shared.paging import page_of
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Key, Table, cached_table
from dashboard.shared.thumbnails import ImageFile
from engine.analysis import calibration, metrics
from engine.analysis.categories import highest_loss_rows
from engine.analysis.causes import CauseLoss, loss_by_cause
from engine.analysis.intervals import unseen_error_loss
from engine.analysis.scores import Metrics, score
from engine.runs.run_list import open_run

BINS = 10  # of the calibration chart
STRIP = 8  # highest-loss images


@dataclass(frozen=True, eq=False)
class Overview:
    """The metrics of the Overview page for labelled predictions.

    Attributes
    ----------
    scores : with 95 % intervals
    n_groups : groups of images that are independent
    pairs : the largest off-diagonal cells as (true, predicted, count)
    concentration : counts and shares, see `metrics.loss_concentration`
    highest_loss : rows of the ``STRIP`` images of highest loss, highest first
    """

    scores: Metrics
    n_groups: int
    pairs: list[tuple[int, int, int]]
    histogram: calibration.ProbabilityHistogram
    reliability: calibration.ReliabilityCurve
    concentration: tuple[np.ndarray, np.ndarray]
    highest_loss: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """Return the confusion matrix, rows true, columns predicted."""
        return self.scores.confusion_matrix


def overview(table: Table) -> Overview:
    """Return the metrics of a labelled table."""
    return _overview(table.key)


def figure(table: Table, name: str, draw: Callable[[Table, Overview], Figure]) -> Figure:
    """Return a cached chart of the overview; ``name`` identifies the drawing function."""
    return _figure(table.key, name, draw)


def in_cell(table: Table, true: int, predicted: int) -> ImageFilter:
    """Return the filter of the images in a cell of the confusion matrix."""
    names = table.predictions.class_names
    return ImageFilter(where={TRUE: names[true], PREDICTED: names[predicted]})


def cell_images(table: Table, true: int, predicted: int) -> list[ImageFile]:
    """Return the files of the first page of a cell of the confusion matrix."""
    return _cell_images(table.key, tables.data_root(table), true, predicted)


def quarantine(name: str) -> pd.DataFrame:
    """Return the quarantined images, with reasons."""
    run = open_run(name)
    return _quarantine(run.name, stamp_of(run.folder / "quarantine.csv"))


def loss_by_causes(table: Table) -> list[CauseLoss]:
    """Return the log loss of the images by the cause given in verdicts."""
    return _loss_by_causes(table.key, standing.stamp())


def precision(name: str) -> str:
    """Return in which precision a run was computed and what that changed, '' if float32."""
    return open_run(name).config.precision_sentence


@cached(8)
def _overview(key: Key) -> Overview:
    table = cached_table(key)
    y_true, p = table.predictions.y_true, table.predictions.probabilities
    groups = tables.groups(table)
    scores = score(y_true, p, groups)
    return Overview(
        scores,
        len(table) if groups is None else int(groups.max()) + 1,
        metrics.most_confused(scores.confusion_matrix, 10),
        calibration.probability_histogram(y_true, p, positive=table.positive),
        calibration.reliability_curve(y_true, p, BINS, positive=table.positive),
        metrics.loss_concentration(table.loss),
        highest_loss_rows(table.loss, STRIP),
    )


@cached(24)
def _figure(key: Key, name: str, _draw: Callable[[Table, Overview], Figure]) -> Figure:
    return _draw(cached_table(key), _overview(key))


@cached(16)
def _cell_images(key: Key, root: Path, true: int, predicted: int) -> list[ImageFile]:
    table = cached_table(key)
    return images_of(table, page_of(rows.rows(table, in_cell(table, true, predicted)), 1))


@cached(8)
def _quarantine(name: str, stamp: Stamp) -> pd.DataFrame:
    return open_run(name).quarantine if any(stamp) else pd.DataFrame(columns=["path", "reason"])


@cached(8)
def _loss_by_causes(key: Key, stamp: Stamp) -> list[CauseLoss]:
    known, table = standing.standing(), cached_table(key)
    if not any(verdict.cause for verdict in known.standing.values()):
        return []
    facts = tables.facts(table, np.arange(len(table)))
    said = map(known.of, facts["sha256"].to_pylist(), facts["given"].to_pylist())
    labelled = table.predictions.y_true >= 0
    unseen = unseen_error_loss(
        table.predictions.y_true[labelled], table.predictions.probabilities[labelled]
    )
    causes = [verdict.cause if verdict else "" for verdict in said]
    return loss_by_cause(table.loss, causes, unseen)
