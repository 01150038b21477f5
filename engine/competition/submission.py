"""Turns probabilities and a sample file into one checked CSV for the competition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.analysis.parallel import over_parts
from engine.competition.sample import (
    Values,
    match_images,
    natural_order,
    plain_form,
    read_sample,
    sample_form,
)
from engine.competition.submission_checks import (
    Check,
    bounds_check,
    ids_check,
    missing_check,
    order_check,
    range_check,
    rows_check,
    sample_check,
)
from engine.competition.submission_csv import csv_lines
from engine.competition.values import written_values
from engine.errors import UserError
from engine.runs.predictions import Predictions

if TYPE_CHECKING:
    from engine.competition.correction import ChosenCorrection

_BLOCK_VALUES = 200_000


@dataclass(frozen=True)
class Submission:
    """The content of a submission file and the results of its checks.

    Attributes
    ----------
    header : names of all columns, the id first
    ids : string array of shape (n_rows,), in the order of the file
    lines : the rows of the file as CSV, a piece for each block of rows
    checks : in the order in which they are shown
    flagged : ids of unreadable images, which got the base rate
    lower, upper : the clip bounds on P(positive)
    chosen : the correction that was applied, None where only bounds were
    """

    header: tuple[str, ...]
    ids: pa.StringArray
    lines: tuple[bytes, ...]
    checks: list[Check]
    flagged: tuple[str, ...]
    lower: float
    upper: float
    chosen: ChosenCorrection | None = None

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
    images, paths = predictions.ids, predictions.paths
    if unreadable:
        more = [pa.array(texts, pa.string()) for texts in zip(*unreadable, strict=True)]
        images, paths = pa.concat_arrays([images, more[0]]), pa.concat_arrays([paths, more[1]])
    if sample is None:
        rows = natural_order(images)  # (n_rows,) position of each row's image
        wanted, form = images.take(pa.array(rows)), plain_form(classes, positive)
    else:
        header, columns = read_sample(sample)
        rows, wanted = match_images(columns[0], images, paths), columns[0]
        form = sample_form(str(sample), header, columns, classes, positive, form_of_values)
    pa.default_memory_pool().release_unused()  # what the sample and its ids took
    source = "The submission" if sample is None else str(sample)

    n, p = len(predictions), predictions.probabilities
    usable = (p.min(axis=1) >= 0) & (p.max(axis=1) <= 1)  # (n,), False for NaN
    # A negative row has no image; rows from n on are unreadable images.
    own = np.append(usable, np.zeros(len(unreadable) + 2, dtype=bool))[rows]  # (n_rows,)
    blank = ~own & (rows < n)

    width = len(form.classes)

    def written(at: slice) -> tuple[bytes, np.ndarray]:
        block = np.empty((len(rows[at]), len(classes)))
        block[own[at]] = p[rows[at][own[at]]]
        block[~own[at]] = base_rate
        cells, past = written_values(form, classes, block, lower, upper, positive)
        if blank[at].any():
            cells = pc.if_else(pa.array(np.repeat(blank[at], width)), ",", cells)
        return csv_lines(wanted[at], cells), past

    step = max(_BLOCK_VALUES // len(classes), 1)
    parts = [slice(start, start + step) for start in range(0, len(rows), step)]
    blocks = over_parts(written, parts, len(rows) * len(classes))
    past = np.concatenate([np.zeros(0, dtype=bool), *(past for _, past in blocks)])
    flagged = wanted.take(pa.array(np.flatnonzero(rows >= len(predictions)))).to_pylist()
    return Submission(
        header=form.header,
        ids=wanted,
        lines=tuple(lines for lines, _ in blocks),
        checks=[
            rows_check(source, wanted, rows),
            ids_check(source, wanted, rows, predictions),
            order_check(source, sample),
            range_check(predictions.ids, usable),
            bounds_check(wanted, past & ~blank, form.kind, lower, upper),
            Check("class direction", form.fits, form.message),
            missing_check(flagged),
            sample_check(sample),
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
