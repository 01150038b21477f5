"""Small tables of predictions, and what becomes of them, that the tests of this room share."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from engine.competition.correction import ChosenCorrection, given_bounds
from engine.competition.submission import Submission, check_submission
from engine.competition.submission_csv import to_csv
from engine.runs.predictions import UNKNOWN, Predictions, make_predictions

TWO, THREE = ("cat", "dog"), ("bird", "cat", "dog")


def table(
    p_dog: dict[str, float], paths: dict[str, str] | None = None, classes: tuple[str, ...] = TWO
) -> Predictions:
    p = np.array(list(p_dog.values()))
    where = [(paths or {}).get(id, f"test/{id}.jpg") for id in p_dog]
    columns = np.column_stack([1 - p, p])
    return make_predictions(list(p_dog), where, np.full(len(p), UNKNOWN), columns, classes)


def table_of_three(rows: dict[str, tuple[float, float, float]]) -> Predictions:
    paths = [f"test/{id}.jpg" for id in rows]
    return make_predictions(
        list(rows), paths, np.full(len(rows), UNKNOWN), np.array(list(rows.values())), THREE
    )


def check(predictions: Predictions, sample: Path | None = None, **options: object) -> Submission:
    k = len(predictions.class_names)
    settings = {"lower": 0.0, "upper": 1.0, "quarantined": [], "base_rate": np.full(k, 1 / k)}
    return check_submission(predictions, sample=sample, **(settings | options))  # type: ignore[arg-type]


def rows_of(submission: Submission) -> list[list[str]]:
    return list(csv.reader(io.StringIO(to_csv(submission).decode(), newline="")))


def failed(submission: Submission) -> list[str]:
    return [check.name for check in submission.checks if check.passed is False]


def values_of(submission: Submission) -> list[list[str]]:
    _, *rows = rows_of(submission)
    return [list(column) for column in zip(*rows, strict=True)][1:]


def clipped(lower: float, upper: float, positive: int | None = None) -> ChosenCorrection:
    """Return the correction that clips to these bounds, of a run without labelled images."""
    return ChosenCorrection(given_bounds(lower, upper, positive), "asked for", None)
