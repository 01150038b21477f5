"""The caches of the Compare page: two runs judged on the same images, and their blend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard.shared import tables
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.compare import Comparison, compare, places_in
from engine.competition.blend import PreparedBlend, prepare_blend
from engine.errors import UserError
from engine.runs.predictions import Predictions
from engine.runs.run import Run, open_run


@dataclass(frozen=True, eq=False)
class Compared:
    """The comparison with a table of the run, in whose rows the images are told.

    Attributes
    ----------
    table : predictions of the run
    found : the comparison
    parts : fixed, broken, both-wrong and both-right to rows of ``table``, in the order to show
    losses : float64 array of shape (n,), what the other run pays for each row, nan where it has
        not predicted it
    """

    table: Table
    found: Comparison
    parts: dict[str, np.ndarray]
    losses: np.ndarray


def compared(name: str, other: str) -> Compared:
    """Return the comparison of a run with another one.

    Raises
    ------
    UserError
        When the two cannot be compared.
    """
    return _compared(labelled(name).key, labelled(other).key)


def labelled(name: str) -> Table:
    """Return the predictions of all labelled images that a run has honest ones of."""
    return tables.table(name, open_run(name).labelled_split)


def comparable(name: str, among: list[str]) -> list[str]:
    """Return those of the runs, in their order, that know the same classes."""
    mine = open_run(name).class_names
    return [other for other in among if other != name and _class_names(other) == mine]


def blend(name: str, other: str) -> PreparedBlend:
    """Return the blend of two runs, worked out and not yet kept.

    Raises
    ------
    UserError
        When the two cannot be blended.
    """
    return _blend(tuple(labelled(run).key for run in (name, other)))


def _load(run: Run, split: str) -> Predictions:
    return tables.table(run.name, split).predictions


def _class_names(name: str) -> tuple[str, ...]:
    try:
        return open_run(name).class_names
    except (UserError, KeyError):
        return ()


@st.cache_resource(max_entries=8, show_spinner=False)
def _compared(key: Key, other: Key) -> Compared:
    table = cached_table(key)
    found = compare(table.predictions, cached_table(other).predictions)
    rows = places_in(found.tables[0].ids, table.predictions.ids)
    parts = {
        "fixed": rows[found.fixed],
        "broken": rows[found.broken],
        "both-wrong": rows[found.both_wrong],
        "both-right": rows[found.both_right],
    }
    losses = np.full(len(table), np.nan)
    losses[rows] = found.losses[1]
    for array in (losses, *parts.values()):
        array.setflags(write=False)
    return Compared(table, found, parts, losses)


@st.cache_resource(max_entries=8, show_spinner=False)
def _blend(keys: tuple[Key, ...]) -> PreparedBlend:
    return prepare_blend([open_run(key[0]) for key in keys], load=_load)
