"""The checks of a submission file: rows, ids, range, bounds and the sample file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.names import AMBIGUOUS, NONE
from engine.errors import first_ten
from engine.runs.predictions import Predictions


@dataclass(frozen=True)
class Check:
    """One check of the file: whether it passed, a sentence, and the first ten ids concerned.

    ``passed`` is None if it could not be checked.
    """

    name: str
    passed: bool | None
    message: str
    ids: tuple[str, ...] = ()


def _check(name: str, ids: Sequence[str], failed: str, passed: str) -> Check:
    message = f"{failed}: {first_ten(list(ids))}." if ids else passed
    return Check(name, not ids, message, tuple(ids[:10]))


def _name(source: str) -> str:
    """Return a sample file's name; where it lies is said once, by the last check."""
    return Path(source).name


def rows_check(source: str, wanted: pa.StringArray, rows: np.ndarray) -> Check:
    """Return the check that every row has a prediction; ``rows`` is negative without an image.

    Parameters
    ----------
    source : name of the file in messages
    wanted : string array of shape (n_rows,), the ids
    """
    if not len(rows):
        return Check("rows", False, f"{source} has no rows: there is no test image.")
    empty = wanted.take(pa.array(np.flatnonzero(rows < 0))).to_pylist()
    return _check(
        "rows",
        empty,
        f"{source} has {len(rows):,} rows, and {len(empty):,} of them have no prediction",
        f"{_name(source)} has {len(rows):,} rows, and each has its prediction.",
    )


def ids_check(
    source: str, wanted: pa.StringArray, rows: np.ndarray, predictions: Predictions
) -> Check:
    """Return the check that each id stands once and fits exactly one image.

    Parameters
    ----------
    source : name of the file in messages
    wanted : string array of shape (n_rows,), the ids
    rows : int array of shape (n_rows,), position of each id's image, `NONE` or `AMBIGUOUS`
    predictions : the predicted images
    """

    def ids(chosen: np.ndarray) -> list[str]:
        return list(wanted.take(pa.array(np.flatnonzero(chosen))).to_pylist())

    uses = np.bincount(rows[rows >= 0], minlength=len(predictions))  # rows of each image
    extra = np.flatnonzero(uses[: len(predictions)] == 0)
    shared = (rows >= 0) & (np.append(uses, [0, 0])[rows] > 1)
    repeated = []
    if shared.any() or (rows < 0).any():  # possible only if an id is repeated
        counts = pc.value_counts(wanted)
        repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
    problems = {
        "repeated ids": repeated,
        "ids without a prediction": ids(rows == NONE),
        "ids that match more than one image": ids(rows == AMBIGUOUS),
        "ids that match the same image": [] if repeated else ids(shared),
        "no row for predicted ids": predictions.ids.take(pa.array(extra)).to_pylist(),
    }
    parts = [f"{what} {first_ten(names)}" for what, names in problems.items() if names]
    if not parts:
        return Check("ids", True, f"{_name(source)} has each id once, and each has one image.")
    offending = [name for names in problems.values() for name in names[:10]]
    return Check("ids", False, f"{source} has {'; '.join(parts)}.", tuple(offending[:10]))


def order_check(source: str, sample: Path | None) -> Check:
    """Return the check of the rows' order, which is the sample's or else that of the ids."""
    if sample is None:
        return Check("order", True, f"{source} has its rows in natural order of the ids.")
    return Check("order", True, f"The rows are in the order of {_name(source)}.")


def range_check(ids: pa.StringArray, usable: np.ndarray) -> Check:
    """Return the check that every prediction is a number from 0 to 1.

    Parameters
    ----------
    ids : string array of shape (n,)
    usable : bool array of shape (n,), whether all probabilities lie from 0 to 1
    """
    return _check(
        "range",
        ids.take(pa.array(np.flatnonzero(~usable))).to_pylist(),
        "Predictions are missing or outside [0, 1] for ids",
        "Every prediction is a number in [0, 1].",
    )


def bounds_check(
    wanted: pa.StringArray, past: np.ndarray, kind: str, lower: float, upper: float
) -> Check:
    """Return the check that no written value rounds past the clip bounds.

    Parameters
    ----------
    wanted : string array of shape (n_rows,), the ids
    past : bool array of shape (n_rows,), whether a value lies outside the bounds
    kind : kind of the values, see `Form`
    lower, upper : bounds on P(positive)
    """
    if kind != "probability":
        return Check("bounds", True, "The file holds classes, which have no clip bounds.")
    return _check(
        "bounds",
        wanted.take(pa.array(np.flatnonzero(past))).to_pylist(),
        f"Written values round past the clip bounds {lower:g} and {upper:g} for ids",
        f"No written value rounds past the clip bounds {lower:g} and {upper:g}.",
    )


def sample_check(sample: Path | None) -> Check:
    """Return the check that the file follows a sample file, unknown without one."""
    if sample is not None:
        return Check("sample", True, f"The sample file is {sample}.")
    message = (
        "No sample file was found beside the data, so ids, order and columns were not compared "
        "with one; give the competition's (--sample FILE, on the page “Sample file”)."
    )
    return Check("sample", None, message)


def missing_check(flagged: Sequence[str]) -> Check:
    """Return which rows hold the base rate; the check passes, and the user must confirm it."""
    message = "Every test image could be read."
    if flagged:
        message = (
            f"{len(flagged):,} image{'s' * (len(flagged) > 1)} could not be read; the share of "
            f"each class in training is submitted for them: {first_ten(list(flagged))}."
        )
    return Check("missing images", True, message, tuple(flagged[:10]))
