"""The caches of the review: verdicts, suspected labels, and what they say about a table's rows."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from dashboard.selection import rows as selection_rows
from dashboard.selection import split
from dashboard.selection.image_filter import ALL, JUDGED, REVIEWS, SUSPECTS, ImageFilter
from dashboard.shared import tables
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.causes import CauseLoss, loss_by_cause
from engine.runs.predictions import UNKNOWN
from engine.runs.run import OUT_OF_FOLD, open_run
from engine.runs.triage import load_triage, reviewed_split, triage_path
from engine.runs.verdicts import WRONG, Verdict, load_verdicts, verdicts_path

Stamp = tuple[int, int]  # time and size of a file


def standing() -> dict[str, Verdict]:
    """Return the standing verdicts by sha256."""
    return _standing(stamp())


def stamp() -> Stamp:
    """Return what changes with every verdict."""
    return _stamp(verdicts_path())


def table_of(name: str, look_at: str) -> Table:
    """Return the predictions to review: of all labelled images, where there are such."""
    if look_at not in REVIEWS:
        return split.labelled(name)
    return tables.table(name, reviewed_split(open_run(name)))


def rows(table: Table, look: ImageFilter) -> np.ndarray:
    """Return the rows of a look, reviews included, in the order in which to show them."""
    if look.show not in REVIEWS:
        return selection_rows.rows(table, look)
    passing = np.zeros(len(table), dtype=bool)
    passing[selection_rows.rows(table, replace(look, show=ALL))] = True
    order = _suspected(table.key, _triage_stamp(table)) if look.show == SUSPECTS else _judged(table)
    if look.show == JUDGED and look.image:  # stays while it is looked at, also after an undo
        shown = tables.row_of(table, look.image)
        if shown is not None:
            order = np.union1d(order, [shown])
    return np.asarray(order[passing[order]], dtype=np.int64)


def said(table: Table, chosen: np.ndarray) -> list[str]:
    """Return what a person said of the labels of the chosen rows, '' for nothing."""
    verdicts = standing()
    if not verdicts:
        return [""] * len(chosen)
    sums = tables.facts(table, chosen)["sha256"].to_pylist()
    return [words(verdicts[name]) if name in verdicts else "" for name in sums]


def words(verdict: Verdict) -> str:
    """Return a verdict in words."""
    return f"truly {verdict.label}" if verdict.verdict == WRONG else verdict.verdict


def review(table: Table, row: int) -> dict[str, Any] | None:
    """Return what the large view needs for a verdict, None for an image that has no label."""
    sha256 = tables.facts(table, np.array([row]))["sha256"][0].as_py()
    label = int(table.predictions.y_true[row])
    if not sha256 or label == UNKNOWN:
        return None
    verdict = standing().get(sha256)
    others = [name for i, name in enumerate(table.predictions.class_names) if i != label]
    return {
        "others": others,
        "verdict": verdict.verdict if verdict else "",
        "label": verdict.label if verdict else "",
        "cause": verdict.cause if verdict else "",
        "line": f"{verdict.reviewer}, {verdict.time[:16].replace('T', ' ')}" if verdict else "",
        "reason": " ".join(reasons(table.key[0]).get(table.predictions.ids[row].as_py(), [])),
    }


def reasons(name: str) -> dict[str, list[str]]:
    """Return why images of a run are suspected, by id."""
    return _reasons(name, _stamp(triage_path(open_run(name))))


def known(name: str) -> bool:
    """Tell whether suspects of a run were looked for."""
    return triage_path(open_run(name)).is_file()


def by_cause(table: Table) -> list[CauseLoss]:
    """Return the log loss of the images by the cause that verdicts name."""
    return _by_cause(table.key, stamp())


@st.cache_resource(max_entries=2, show_spinner=False)
def _standing(stamp: Stamp) -> dict[str, Verdict]:
    return load_verdicts()


@st.cache_resource(max_entries=8, show_spinner=False)
def _triage(name: str, stamp: Stamp) -> pd.DataFrame:
    return load_triage(open_run(name))


@st.cache_resource(max_entries=8, show_spinner=False)
def _reasons(name: str, stamp: Stamp) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if stamp != (0, 0):
        table = _triage(name, stamp)
        for id, reason in zip(table["id"], table["reason"], strict=True):
            found.setdefault(str(id), []).append(str(reason))
    return found


@st.cache_resource(max_entries=8, show_spinner=False)
def _suspected(key: Key, stamp: Stamp) -> np.ndarray:
    """Return the suspected rows of a table in the order of suspicion."""
    if stamp == (0, 0):
        return np.empty(0, dtype=np.int64)
    found = _triage(key[0], stamp)
    if key[1] not in OUT_OF_FOLD:
        found = found[found["split"] == key[1]]
    ids = pa.array(found["id"].astype(str).drop_duplicates().tolist(), pa.string())
    at = pc.index_in(ids, cached_table(key).predictions.ids.cast(pa.string()))
    return np.asarray(at.drop_null(), dtype=np.int64)


def _judged(table: Table) -> np.ndarray:
    """Return the rows that have a verdict, in the order of the table."""
    sums = tables.facts(table, np.arange(len(table)))["sha256"]
    known = pc.is_in(sums, value_set=pa.array(list(standing()), pa.string()))
    return np.flatnonzero(np.asarray(known, dtype=bool))


@st.cache_resource(max_entries=8, show_spinner=False)
def _by_cause(key: Key, stamp: Stamp) -> list[CauseLoss]:
    table, causes = cached_table(key), {s: v.cause for s, v in standing().items() if v.cause}
    if not causes:
        return []
    sums = tables.facts(table, np.arange(len(table)))["sha256"].to_pylist()
    return loss_by_cause(table.loss, [causes.get(name, "") for name in sums])


def _triage_stamp(table: Table) -> Stamp:
    return _stamp(triage_path(open_run(table.key[0])))


def _stamp(path: os.PathLike[str]) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
