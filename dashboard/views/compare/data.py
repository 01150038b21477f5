"""Caches of the Compare page: the comparison of two runs on the same images, and their blend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard.shared import tables
from dashboard.shared.cache import cached
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis import reuse
from engine.analysis.compare import Comparison, compare
from engine.analysis.joined import positions_in
from engine.competition.blend import PreparedBlend, prepare_blend
from engine.errors import UserError
from engine.runs.contents import contents
from engine.runs.predictions import Predictions
from engine.runs.run import Run
from engine.runs.run_list import open_run


@dataclass(frozen=True, eq=False)
class Compared:
    """The comparison of two runs, as rows of one run's table.

    Attributes
    ----------
    table, other : predictions of the run, and of the other run
    found : the comparison
    parts : rows of ``table`` for fixed, broken, both-wrong and both-right, in the order to show
    losses : float64 array of shape (n,), loss of each row in the other run, nan if the other run
        has no prediction for it
    """

    table: Table
    other: Table
    found: Comparison
    parts: dict[str, np.ndarray]
    losses: np.ndarray


def compared(name: str, other: str) -> Compared:
    """Return the comparison of a run with another one.

    Raises
    ------
    UserError
        If the two runs cannot be compared.
    """
    return _compared(labelled(name).key, labelled(other).key)


def labelled(name: str) -> Table:
    """Return a run's predictions for all labelled images, out of fold if available."""
    return tables.table(name, open_run(name).labelled_split)


def runs_on_same_images(name: str) -> int:
    """Return the number of finished runs with the same images and labels."""
    return reuse.runs_on_same_images(open_run(name))


def comparable(name: str, among: list[str]) -> list[str]:
    """Return those of the runs, in their order, that have the same classes."""
    mine = open_run(name).class_names
    return [other for other in among if other != name and _class_names(other) == mine]


def blend(name: str, other: str) -> PreparedBlend:
    """Return the blend of two runs before it is saved.

    Raises
    ------
    UserError
        If the two runs cannot be blended.
    """
    return _blend(tuple(labelled(run).key for run in (name, other)))


def _load(run: Run, split: str) -> Predictions:
    return tables.table(run.name, split).predictions


def _class_names(name: str) -> tuple[str, ...]:
    try:
        return open_run(name).class_names
    except (UserError, KeyError):
        return ()


@cached(8)
def _compared(key: Key, other: Key) -> Compared:
    table = cached_table(key)
    predictions = [table.predictions, cached_table(other).predictions]
    known = [contents(open_run(k[0]), p) for k, p in zip((key, other), predictions, strict=True)]
    groups = tables.groups(table)
    found = compare(predictions[0], predictions[1], contents=known, groups=groups)
    rows = positions_in(found.tables[0].ids, table.predictions.ids)
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
    return Compared(table, cached_table(other), found, parts, losses)


@cached(8)
def _blend(keys: tuple[Key, ...]) -> PreparedBlend:
    return prepare_blend([open_run(key[0]) for key in keys], load=_load)
