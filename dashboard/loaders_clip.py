"""Caches for the Clip and Submit pages: what the bounds cost, and the checked submission."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from dashboard.loaders import Key, Table, table
from engine.analysis import bounds as best
from engine.analysis.calibration import ProbabilityHistogram, probability_histogram
from engine.analysis.clipping import ClipLoss, clip_loss, clip_probabilities
from engine.competition.prepare import find_sample, prepare_submission
from engine.competition.submission import Submission
from engine.errors import Refused
from engine.runs.run import open_run

REACH = 5.0
_BARS = 72


@dataclass(frozen=True, eq=False)
class Costs:
    """What bounds cost on a labelled table.

    Attributes
    ----------
    loss : the log loss as a function of the bounds
    before : without clipping
    bounds, losses : the curve over symmetric bounds, float64 arrays of shape (m,)
    symmetric : the best symmetric bound and the log loss there
    independent : the best pair and the log loss there, of two classes
    band : how sure that is
    """

    loss: ClipLoss
    before: float
    bounds: np.ndarray
    losses: np.ndarray
    symmetric: tuple[float, float]
    independent: tuple[float, float, float] | None
    band: best.BootstrapBand


def costs(table: Table) -> Costs:
    """Return what bounds cost on a labelled table."""
    return _costs(table.key)


def bars(table: Table) -> np.ndarray:
    """Count pictures by log odds of their score between -REACH and REACH, int64 (n_bars,)."""
    return _bars(table.key)


def test_table(name: str) -> Table | None:
    """Return the test predictions of a run, None when it has none."""
    return table(name, "test") if open_run(name).predictions_path("test").is_file() else None


def handed_in(table: Table, lower: float, upper: float) -> ProbabilityHistogram:
    """Count the test pictures by what is handed in for them."""
    return _handed_in(table.key, lower, upper)


def submission(name: str, lower: float, upper: float, sample: Path | None) -> Submission:
    """Return the checked submission of a run.

    Raises
    ------
    Refused
        When the run has no test predictions, or the sample cannot be used.
    """
    run = open_run(name)
    chosen = sample or find_sample(run)
    files = (run.predictions_path("test"), run.folder / "quarantine.csv", chosen)
    return _submission(name, lower, upper, chosen, tuple(_changed(file) for file in files))


def _changed(file: Path | None) -> int:
    try:
        return 0 if file is None else file.stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_resource(max_entries=4, show_spinner="Working out what bounds cost…")
def _costs(key: Key) -> Costs:
    known = table(key[0], key[1])
    y_true, p = known.predictions.y_true, known.predictions.probabilities
    positive = known.positive if p.shape[1] == 2 else None
    loss = clip_loss(y_true, p, positive)
    grid, losses = best.symmetric_curve(loss)
    return Costs(
        loss,
        loss.at(0.0, 1.0),
        grid,
        losses,
        best.best_symmetric(loss),
        best.best_independent(loss) if loss.n_classes == 2 else None,
        best.bootstrap_best_symmetric(y_true, p, positive),
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _bars(key: Key) -> np.ndarray:
    score = table(key[0], key[1]).score
    with np.errstate(divide="ignore"):
        odds = np.log10(score) - np.log10(1 - score)
    counts = np.histogram(np.clip(odds, -REACH, REACH), bins=_BARS, range=(-REACH, REACH))[0]
    return counts.astype(np.int64)


@st.cache_resource(max_entries=16, show_spinner=False)
def _handed_in(key: Key, lower: float, upper: float) -> ProbabilityHistogram:
    test = table(key[0], key[1])
    p = test.predictions.probabilities
    positive = test.positive if p.shape[1] == 2 else None
    clipped = clip_probabilities(p, lower, upper, positive)
    return probability_histogram(np.full(len(p), -1), clipped, positive=test.positive)


@st.cache_resource(max_entries=4, show_spinner="Checking the submission…")
def _submission(
    name: str, lower: float, upper: float, sample: Path | None, changed: tuple[int, ...]
) -> Submission:
    if sample is not None and not sample.is_file():
        raise Refused(f"{sample} does not exist; name the competition's sample file.")
    test = test_table(name)
    predictions = None if test is None else test.predictions
    return prepare_submission(open_run(name), lower, upper, sample, predictions)
