"""Turns probabilities and a sample file into one checked CSV for the competition."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.competition.sample import (
    Values,
    match_images,
    natural_order,
    plain_form,
    read_sample,
    sample_form,
)
from engine.competition.values import written_values
from engine.data.names import AMBIGUOUS, NONE
from engine.errors import UserError, first_ten
from engine.runs.predictions import Predictions

if TYPE_CHECKING:
    from engine.competition.correction import ChosenCorrection

_MUST_QUOTE = (b",", b'"', b"\r", b"\n")
_BLOCK_VALUES = 200_000


@dataclass(frozen=True)
class Check:
    """One check of the file: whether it passed, a sentence, and the first ten ids concerned.

    ``passed`` is None if it could not be checked.
    """

    name: str
    passed: bool | None
    message: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """The content of a submission file and the results of its checks.

    Attributes
    ----------
    header : names of all columns, the id first
    ids : string array of shape (n_rows,), in the order of the file
    texts : the values as text, string array of shape (n_rows * n_columns,), row by row; '' where
        a row has no value
    checks : in the order in which they are shown
    flagged : ids of unreadable images, which got the base rate
    lower, upper : the clip bounds on P(positive)
    chosen : the correction that was applied, None where only bounds were
    """

    header: tuple[str, ...]
    ids: pa.StringArray
    texts: pa.ChunkedArray
    checks: list[Check]
    flagged: tuple[str, ...]
    lower: float
    upper: float
    chosen: ChosenCorrection | None = None

    @property
    def values(self) -> list[pa.ChunkedArray]:
        """Return one string array per column after the id."""
        width = len(self.header) - 1
        return [
            pa.chunked_array(
                [
                    block.take(pa.array(np.arange(column, len(block), width)))
                    for block in self.texts.chunks
                ],
                pa.string(),
            )
            for column in range(width)
        ]

    def head(self, rows: int) -> Submission:
        """Return the submission with its first rows only, but the checks of all rows."""
        return replace(self, ids=self.ids[:rows], texts=self.texts[: rows * (len(self.header) - 1)])

    @property
    def ok(self) -> bool:
        """Return whether no check failed."""
        return all(check.passed is not False for check in self.checks)


def check_submission(
    predictions: Predictions,
    *,
    lower: float,
    upper: float,
    sample: Path | None,
    quarantined: Sequence[tuple[str, str]],
    base_rate: np.ndarray,
    positive: int | None = None,
    form_of_values: Values | None = None,
) -> Submission:
    """Compose the submission and record the result of every check; nothing is written.

    With a sample file, its header, ids and order are kept; :func:`sample_form` interprets its
    columns and :func:`match_images` finds each id's image. Without a sample the file is
    ``id,label``, or ``id,<class>,...`` for more than two classes, in natural order of the ids.

    Parameters
    ----------
    lower, upper : bounds on P(positive), see :mod:`engine.analysis.clipping`
    sample : the competition's sample file, if there is one
    quarantined : (id, path) of each test image that could not be read
    base_rate : float array of shape (n_classes,), the class shares in training, used for
        quarantined images
    positive : index of the positive class; the last by default
    form_of_values : whether the only value column holds a probability or a class, if both fit

    Raises
    ------
    UserError
        If the sample cannot be read, has no rows or no second column.
    """
    classes = predictions.class_names
    positive = len(classes) - 1 if positive is None else positive
    unreadable = list(dict.fromkeys(quarantined))
    images = pa.concat_arrays(
        [predictions.ids, pa.array([id for id, _ in unreadable], pa.string())]
    )
    if sample is None:
        rows = natural_order(images)  # (n_rows,) position of each row's image
        wanted = images.take(pa.array(rows))
        form = plain_form(classes, positive)
    else:
        header, columns = read_sample(sample)
        unreadable_paths = pa.array([path for _, path in unreadable], pa.string())
        rows = match_images(
            columns[0], images, pa.concat_arrays([predictions.paths, unreadable_paths])
        )
        wanted = columns[0]
        form = sample_form(str(sample), header, columns, classes, positive, form_of_values)
    source = "The submission" if sample is None else str(sample)

    n, p = len(predictions), predictions.probabilities
    usable = (p.min(axis=1) >= 0) & (p.max(axis=1) <= 1)  # (n,), False for NaN
    # A negative row has no image; rows from n on are unreadable images.
    own = np.append(usable, np.zeros(len(unreadable) + 2, dtype=bool))[rows]  # (n_rows,)
    blank = ~own & (rows < n)

    width = len(form.classes)

    def written(at: slice) -> tuple[pa.StringArray, np.ndarray]:
        block = np.tile(base_rate, (len(rows[at]), 1))
        block[own[at]] = p[rows[at][own[at]]]
        texts, past = written_values(form, classes, block, lower, upper, positive)
        if blank[at].any():
            texts = pc.if_else(pa.array(np.repeat(blank[at], width)), "", texts)
        return texts, past

    step = max(_BLOCK_VALUES // len(classes), 1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        starts = range(0, len(rows), step)
        blocks = list(pool.map(written, [slice(start, start + step) for start in starts]))
    past = np.concatenate([np.zeros(0, dtype=bool), *(past for _, past in blocks)])
    flagged = wanted.take(pa.array(np.flatnonzero(rows >= len(predictions)))).to_pylist()
    return Submission(
        header=form.header,
        ids=wanted,
        texts=pa.chunked_array([texts for texts, _ in blocks], pa.string()),
        checks=[
            _rows_check(source, wanted, rows),
            _ids_check(source, wanted, rows, predictions),
            Check("order", True, f"{source} has its rows in natural order of the ids.")
            if sample is None
            else Check("order", True, f"The rows are in the order of {source}."),
            _range_check(predictions.ids, usable),
            _bounds_check(wanted, past & ~blank, form.kind, lower, upper),
            Check("class direction", form.fits, form.message),
            _missing_check(flagged),
            _sample_check(sample),
        ],
        flagged=tuple(flagged),
        lower=lower,
        upper=upper,
    )


def require(submission: Submission) -> None:
    """Raise the first failed check of a submission as an error.

    Raises
    ------
    UserError
        If a check failed; the message is that check's sentence.
    """
    for check in submission.checks:
        if check.passed is False:
            raise UserError(check.message)


def to_csv(submission: Submission) -> bytes:
    r"""Return the file's content: UTF-8, commas, ``\n``, quotes only where RFC 4180 needs them."""
    return b"".join(csv_blocks(submission))


def csv_blocks(submission: Submission) -> Iterator[bytes]:
    """Yield the content of :func:`to_csv` piece by piece, so that it is never whole in memory."""
    header = _quoted(pa.array(submission.header, pa.string())).to_pylist()
    yield (",".join(header) + "\n").encode()
    start, width = 0, len(header) - 1
    for block in submission.texts.chunks:
        ends = pa.array(np.arange(0, len(block) + 1, width, dtype=np.int32))
        values = pc.binary_join(pa.ListArray.from_arrays(ends, _quoted(block)), ",")
        ids = _quoted(submission.ids[start : start + len(values)])
        lines = pc.binary_join_element_wise(ids, values, ",")
        lines = pc.binary_join_element_wise(lines, "", "\n")
        yield lines.buffers()[2].to_pybytes()  # the value buffer: all lines, joined
        start += len(values)


def _quoted(texts: pa.StringArray) -> pa.StringArray:
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]]
    own = bytes(memoryview(content or b"")[ends[0] : ends[1]])
    if not any(mark in own for mark in _MUST_QUOTE):
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(texts, '[,"\r\n]'), quoted, texts)


def _check(name: str, ids: Sequence[str], failed: str, passed: str) -> Check:
    message = f"{failed}: {first_ten(list(ids))}." if ids else passed
    return Check(name, not ids, message, tuple(ids[:10]))


def _rows_check(source: str, wanted: pa.StringArray, rows: np.ndarray) -> Check:
    if not len(rows):
        return Check("rows", False, f"{source} has no rows: there is no test image.")
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
        return Check("ids", True, f"{source} has each id once, and each has one image.")
    offending = [name for names in problems.values() for name in names[:10]]
    return Check("ids", False, f"{source} has {'; '.join(parts)}.", tuple(offending[:10]))


def _range_check(ids: pa.StringArray, usable: np.ndarray) -> Check:
    return _check(
        "range",
        ids.take(pa.array(np.flatnonzero(~usable))).to_pylist(),
        "Predictions are missing or outside [0, 1] for ids",
        "Every prediction is a number in [0, 1].",
    )


def _bounds_check(
    wanted: pa.StringArray, past: np.ndarray, kind: str, lower: float, upper: float
) -> Check:
    if kind != "probability":
        return Check("bounds", True, "The file holds classes, which have no clip bounds.")
    return _check(
        "bounds",
        wanted.take(pa.array(np.flatnonzero(past))).to_pylist(),
        f"Written values round past the clip bounds {lower:g} and {upper:g} for ids",
        f"No written value rounds past the clip bounds {lower:g} and {upper:g}.",
    )


def _sample_check(sample: Path | None) -> Check:
    if sample is not None:
        return Check("sample", True, f"The sample file is {sample}.")
    message = (
        "No sample file was found beside the data, so ids, order and columns were not compared "
        "with one; give the competition's with --sample FILE."
    )
    return Check("sample", None, message)


def _missing_check(flagged: Sequence[str]) -> Check:
    """Report which rows hold the base rate; the check passes, and the user must confirm it."""
    message = "Every test image could be read."
    if flagged:
        message = (
            f"{len(flagged):,} image{'s' * (len(flagged) > 1)} could not be read; the share of "
            f"each class in training is submitted for them: {first_ten(list(flagged))}."
        )
    return Check("missing images", True, message, tuple(flagged[:10]))
