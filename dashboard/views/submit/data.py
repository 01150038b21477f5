"""Data of the Submit page: the checked submission, its histogram, and writing the file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import streamlit as st

from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.calibration import ProbabilityHistogram, probability_histogram
from engine.analysis.fitted import FittedCorrection
from engine.competition.correction import choose_correction
from engine.competition.prepare import find_sample, prepare_submission
from engine.competition.records import write_submission
from engine.competition.submission import Submission
from engine.errors import UserError
from engine.runs.opening import read_file
from engine.runs.run import Run
from engine.runs.run_list import open_run


def submitted_histogram(table: Table, fitted: FittedCorrection) -> ProbabilityHistogram:
    """Return the histogram of the submitted probabilities."""
    return _submitted_histogram(table.key, fitted, repr(fitted))


def submission(table: Table, sample: Path | None) -> Submission:
    """Return the checked submission of a table: what is recommended, or the bounds set on Clip.

    Raises
    ------
    UserError
        If the sample cannot be used.
    """
    run = open_run(table.key[0])
    chosen = sample or find_sample(run, table.predictions)
    files = (
        *map(run.predictions_path, ("valid", "folds")),
        run.folder / "quarantine.csv",
        chosen,
    )
    stamps = tuple(stamp_of(file) for file in files if file)
    return _submission(table.key, run.kept_bounds, chosen, stamps)


def write_submission_file(run: Run, submission: Submission) -> tuple[Path, bytes]:
    """Write a submission into the run's folder; return the file's path and content.

    Raises
    ------
    UserError
        If a check failed, or the file cannot be written.
    """
    folder = run.folder / "submissions"
    try:
        file = write_submission(folder, submission, run=run.name, now=datetime.now(UTC))
        return file, read_file(file)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); check permissions and free space."
        ) from error


@cached(16)
def _submitted_histogram(key: Key, _fitted: FittedCorrection, said: str) -> ProbabilityHistogram:
    test = cached_table(key)
    p = test.predictions.probabilities
    corrected = _fitted.apply(p)
    return probability_histogram(np.full(len(p), -1), corrected, positive=test.positive)


@st.cache_resource(max_entries=4, show_spinner="Checking the submission…")
def _submission(
    key: Key, kept: tuple[float, float] | None, sample: Path | None, stamps: tuple[Stamp, ...]
) -> Submission:
    if sample is not None and not sample.is_file():
        raise UserError(f"{sample} does not exist; name the competition's sample file.")
    name, split = key[:2]
    run, predictions = open_run(name), cached_table(key).predictions
    return prepare_submission(run, choose_correction(run), sample, predictions, table=split)
