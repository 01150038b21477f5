"""Finds images by a text in their id, file name, classes, verdict, tags or note."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.review.notes import noted_rows, notes_of
from dashboard.review.standing import reviewed_rows, standing, verdict_text, verdicts_of
from dashboard.shared.tables import Table
from engine.runs.verdicts import Verdict


def has_text(table: Table, text: str) -> np.ndarray:
    """Return which images have every word of a text, in any case, bool of shape (n,).

    A word is looked for in the image's id, path, true and predicted class, tags and note, and the
    verdict, with its correct class, cause and reviewer.
    """
    found = np.ones(len(table), dtype=bool)
    for word in text.split():
        found &= _has_word(table, word)
    return found


def _has_word(table: Table, word: str) -> np.ndarray:
    predictions = table.predictions
    found: np.ndarray = _contains(predictions.ids, word) | _contains(predictions.paths, word)
    named = np.flatnonzero(_contains(pa.array(predictions.class_names, pa.string()), word))
    found |= np.isin(predictions.y_true, named) | np.isin(table.y_pred, named)
    rows = reviewed_rows(table)
    said = [_words(verdict) for verdict in verdicts_of(standing(), table, rows)]
    found[rows] |= _contains(pa.array(said, pa.string()), word)
    rows = noted_rows(table)
    texts = ["\n".join((*note.tags, note.note)) for note in notes_of(table, rows)]
    found[rows] |= _contains(pa.array(texts, pa.string()), word)
    return found


def _words(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    shown = verdict_text(verdict)
    return "\n".join((verdict.verdict, shown, verdict.label, verdict.cause, verdict.reviewer))


def _contains(texts: pa.Array | pa.ChunkedArray, word: str) -> np.ndarray:
    found: np.ndarray = np.asarray(pc.match_substring(texts, word, ignore_case=True), dtype=bool)
    return found
