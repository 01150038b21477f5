"""Probabilities and a sample file in, one checked CSV for the competition out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.competition.sample import (
    AMBIGUOUS,
    NONE,
    match_pictures,
    natural_order,
    plain_form,
    read_sample,
    sample_form,
)
from engine.competition.values import written_values
from engine.errors import Refused, first_ten
from engine.runs.predictions import Predictions

_MUST_QUOTE = re.compile('[,"\r\n]')


@dataclass(frozen=True)
class Check:
    """One promise of the file, kept or not, in a sentence; ``ids`` are the first ten concerned."""

    name: str
    passed: bool
    message: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """What would be handed in, and whether it may be.

    Attributes
    ----------
    header : names of all columns, the id's first
    ids : one a row, in the order of the file
    values : one list of texts a column after the id; '' where a row has no value
    checks : in the order in which they are shown
    flagged : ids whose picture cannot be read, so that they got the base rate
    lower, upper : the clip bounds on P(positive)
    """

    header: tuple[str, ...]
    ids: list[str]
    values: list[list[str]]
    checks: list[Check]
    flagged: tuple[str, ...]
    lower: float
    upper: float

    @property
    def ok(self) -> bool:
        """Tell whether every check passed."""
        return all(check.passed for check in self.checks)


def check_submission(
    predictions: Predictions,
    *,
    lower: float,
    upper: float,
    sample: Path | None,
    quarantined: Sequence[tuple[str, str]],
    base_rate: np.ndarray,
    positive: int | None = None,
) -> Submission:
    """Compose the submission and record every check, passed or failed; nothing is written.

    With a sample file, its header, ids and order are kept; :func:`sample_form` tells what its
    columns mean and :func:`match_pictures` which picture an id does. Without a sample the file is
    ``id,label``, or ``id,<class>,...`` for more than two classes, in natural order of the ids.

    Parameters
    ----------
    lower, upper : bounds on P(positive), see :mod:`engine.analysis.clipping`
    sample : the competition's sample file, if there is one
    quarantined : (id, path) of each test picture that could not be read
    base_rate : float array of shape (n_classes,), the class shares in training, which
        quarantined pictures get
    positive : index of the positive class; the last by default

    Raises
    ------
    Refused
        When the sample cannot be read, has no rows or no second column.
    """
    classes = predictions.class_names
    positive = len(classes) - 1 if positive is None else positive
    lost = list(dict.fromkeys(quarantined))
    pictures = pa.concat_arrays([predictions.ids, pa.array([id for id, _ in lost], pa.string())])
    if sample is None:
        rows = natural_order(pictures)  # (n_rows,) position of each row's picture
        wanted = pictures.take(pa.array(rows))
        form = plain_form(classes, positive)
    else:
        header, columns = read_sample(sample)
        lost_paths = pa.array([path for _, path in lost], pa.string())
        rows = match_pictures(
            columns[0], pictures, pa.concat_arrays([predictions.paths, lost_paths])
        )
        wanted = columns[0]
        form = sample_form(str(sample), header, columns, classes, positive)
    source = "The submission" if sample is None else str(sample)

    p = np.vstack([predictions.probabilities, np.tile(base_rate, (len(lost), 1))])
    usable = np.asarray(((p >= 0) & (p <= 1)).all(axis=1))  # (n_pictures,), NaN is neither
    p = np.where(usable[:, None], p, base_rate)
    texts, past = written_values(form, classes, p, lower, upper, positive)
    blank = (rows < 0) | ~np.append(usable, False)[rows]
    chosen = pa.array(np.where(blank, 0, rows), mask=blank)
    flagged = wanted.take(pa.array(np.flatnonzero(rows >= len(predictions)))).to_pylist()
    return Submission(
        header=form.header,
        ids=wanted.to_pylist(),
        values=[pc.fill_null(column.take(chosen), "").to_pylist() for column in texts],
        checks=[
            _rows_check(source, wanted, rows),
            _ids_check(source, wanted, rows, predictions),
            Check("order", True, f"{source} has its rows in natural order of the ids.")
            if sample is None
            else Check("order", True, f"The rows are in the order of {source}."),
            _range_check(pictures, usable),
            _bounds_check(pictures, past, form.kind, lower, upper),
            Check("class direction", form.fits, form.message),
            _missing_check(flagged),
        ],
        flagged=tuple(flagged),
        lower=lower,
        upper=upper,
    )


def require(submission: Submission) -> None:
    """Pass a submission that may be handed in.

    Raises
    ------
    Refused
        With the sentence of the first check that failed.
    """
    for check in submission.checks:
        if not check.passed:
            raise Refused(check.message)


def to_csv(submission: Submission) -> bytes:
    r"""Return the file's content: UTF-8, commas, ``\n``, quotes only where RFC 4180 needs them."""
    columns = [_quoted(submission.ids), *map(_quoted, submission.values)]
    lines = [",".join(_quoted(submission.header)), *map(",".join, zip(*columns, strict=True))]
    return ("\n".join(lines) + "\n").encode()


def _quoted(texts: Sequence[str]) -> Sequence[str]:
    if not _MUST_QUOTE.search("".join(texts)):
        return texts
    return ['"' + t.replace('"', '""') + '"' if _MUST_QUOTE.search(t) else t for t in texts]


def _check(name: str, ids: Sequence[str], failed: str, passed: str) -> Check:
    message = f"{failed}: {first_ten(list(ids))}." if ids else passed
    return Check(name, not ids, message, tuple(ids[:10]))


def _rows_check(source: str, wanted: pa.StringArray, rows: np.ndarray) -> Check:
    if not len(rows):
        return Check("rows", False, f"{source} has no rows: there is no test picture.")
    empty = wanted.take(pa.array(np.flatnonzero(rows < 0))).to_pylist()
    return _check(
        "rows",
        empty,
        f"{source} has {len(rows):,} rows, and {len(empty):,} of them have no prediction",
        f"{source} has {len(rows):,} rows, and each has its prediction.",
    )


def _ids_check(
    source: str, wanted: pa.StringArray, rows: np.ndarray, predictions: Predictions
) -> Check:
    def ids(chosen: np.ndarray) -> list[str]:
        return list(wanted.take(pa.array(np.flatnonzero(chosen))).to_pylist())

    uses = np.bincount(rows[rows >= 0], minlength=len(predictions))  # rows of each picture
    extra = np.flatnonzero(uses[: len(predictions)] == 0)
    shared = (rows >= 0) & (np.append(uses, [0, 0])[rows] > 1)
    repeated = []
    if shared.any() or (rows < 0).any():  # an id there twice has its picture twice, or none
        counts = pc.value_counts(wanted)
        repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
    problems = {
        "ids there more than once": repeated,
        "ids without a prediction": ids(rows == NONE),
        "ids that fit more than one picture": ids(rows == AMBIGUOUS),
        "ids that mean the same picture": [] if repeated else ids(shared),
        "no row for the predicted ids": predictions.ids.take(pa.array(extra)).to_pylist(),
    }
    parts = [f"{what} {first_ten(names)}" for what, names in problems.items() if names]
    if not parts:
        return Check("ids", True, f"{source} has each id once, and each has one picture.")
    offending = [name for names in problems.values() for name in names[:10]]
    return Check("ids", False, f"{source} has {'; '.join(parts)}.", tuple(offending[:10]))


def _range_check(pictures: pa.StringArray, usable: np.ndarray) -> Check:
    return _check(
        "range",
        pictures.take(pa.array(np.flatnonzero(~usable))).to_pylist(),
        "Predictions are missing or outside [0, 1] for ids",
        "Every prediction is a number in [0, 1].",
    )


def _bounds_check(
    pictures: pa.StringArray, past: np.ndarray, kind: str, lower: float, upper: float
) -> Check:
    if kind != "probability":
        return Check("bounds", True, "The file holds classes, which have no clip bounds.")
    return _check(
        "bounds",
        pictures.take(pa.array(np.flatnonzero(past))).to_pylist(),
        f"Written values round past the clip bounds {lower:g} and {upper:g} for ids",
        f"No written value rounds past the clip bounds {lower:g} and {upper:g}.",
    )


def _missing_check(flagged: Sequence[str]) -> Check:
    """Say which rows hold the base rate; it passes, for the person to acknowledge."""
    message = "Every test picture could be read."
    if flagged:
        message = (
            f"{len(flagged):,} pictures could not be read and get the share of their class in "
            f"training: {first_ten(list(flagged))}."
        )
    return Check("missing pictures", True, message, tuple(flagged[:10]))
