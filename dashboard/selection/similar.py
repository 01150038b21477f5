"""How alike images are: cosine distances along the main directions of a run's features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from dashboard.selection.pending import Pending
from dashboard.shared import commands
from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.neighbours import unit_rows
from engine.errors import UserError
from engine.runs.directions import directions_path, has_directions, load_directions
from engine.runs.run import OUT_OF_FOLD
from engine.runs.run_list import open_run

NEAREST = 240  # images that are "like" another one
TEST, LABELLED = KINDS = ("test", "labelled")
_MOST_PAIRS = 2_000_000_000  # of images and training images that are compared
_BLOCK = 1024


@dataclass(frozen=True)
class Reference:
    """An image that others are compared with; ids of train and valid images never clash."""

    kind: str
    id: str

    @property
    def text(self) -> str:
        """Return the image as text for the address."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, eq=False)
class _Index:
    """The images of a run that have features; arrays are read-only.

    Attributes
    ----------
    id : text of shape (n,)
    test, train : bool arrays of shape (n,)
    rows : float32 array of shape (n, directions), each of length 1
    """

    id: pa.StringArray
    test: np.ndarray
    train: np.ndarray
    rows: np.ndarray


def read_reference(text: str) -> Reference | None:
    """Return the image from the text of :attr:`Reference.text`, or None if it is invalid."""
    kind, _, id = text.partition(":")
    return Reference(kind, id) if kind in KINDS and id else None


def reference_to(table: Table, id: str) -> Reference:
    """Return an image of a table as a reference."""
    return Reference(TEST if table.key[1] == "test" else LABELLED, id)


def offers_similar(name: str) -> bool:
    """Return whether images of a run can be compared: whether it has features."""
    return open_run(name).config.head_sha256 is not None


def distances(table: Table, text: str) -> np.ndarray:
    """Return the distance of each image to another one, float64 (n,).

    It is 0 in the same direction and 2 in the opposite one; nan where it is unknown.

    Raises
    ------
    UserError
        If the run has no such image, or no features.
    """
    asked, index, at = read_reference(text), *_index_of(table)
    here = _row_of(index, asked) if asked else -1
    if here < 0:
        raise UserError(f"this run has no features of the image {text!r}; clear the filter.")
    far = np.full(len(table), np.nan)
    known = at >= 0
    far[known] = np.clip(1 - (index.rows @ index.rows[here])[at[known]], 0, 2)
    far[at == here] = 0
    return far


def is_near(table: Table, text: str) -> np.ndarray:
    """Return which images are among the nearest to another one, bool of shape (n,)."""
    far = distances(table, text)
    near = np.zeros(len(table), dtype=bool)
    near[np.argsort(far, kind="stable")[:NEAREST]] = True
    near &= np.isfinite(far)
    return near


def training_distances(table: Table) -> np.ndarray:
    """Return the distance of each image to the nearest other training image, float64 (n,).

    Images that the last layer was fitted on are training images: those of train, and of valid
    where the predictions are out of fold.
    """
    far: np.ndarray = _training_distances(table.key, stamp(table))
    return far


def has_training_distances(table: Table) -> bool:
    """Return whether the distances to the training images can be computed in a few seconds."""
    if not has_directions(open_run(table.key[0])):
        return False
    try:
        learnt = _learnt(table, _index(table.key[0], stamp(table)))
    except UserError:  # damaged
        return False
    return 0 < int(learnt.sum()) * len(table) <= _MOST_PAIRS


def stamp(table: Table) -> Stamp:
    """Return a value that changes with the features of a run."""
    return stamp_of(directions_path(open_run(table.key[0])))


def _learnt(table: Table, index: _Index) -> np.ndarray:
    folds = table.key[1] in OUT_OF_FOLD or open_run(table.key[0]).labelled_split in OUT_OF_FOLD
    return ~index.test if folds and table.key[1] != "valid" else index.train


def _index_of(table: Table) -> tuple[_Index, np.ndarray]:
    """Return the index of a table's run, and the row of each image there, -1 for none."""
    run, now = open_run(table.key[0]), stamp(table)
    if not has_directions(run):
        _make(run.name)
        raise Pending(
            "The similarity of this run's images is being computed; they are shown when it is done."
        )
    return _index(run.name, now), _places(table.key, now)


def _row_of(index: _Index, asked: Reference) -> int:
    found = np.flatnonzero(np.asarray(pc.equal(index.id, asked.id), dtype=bool))
    found = found[index.test[found] == (asked.kind == TEST)]
    return int(found[0]) if len(found) else -1


@cached(8)
def _make(name: str) -> bool:
    """Start the process once."""
    commands.start_directions(open_run(name))
    return True


@cached(2)
def _index(name: str, now: Stamp) -> _Index:
    found = load_directions(open_run(name))
    test, train = (
        np.asarray(pc.equal(found.split, split).fill_null(False), dtype=bool)
        for split in ("test", "train")
    )
    rows = unit_rows(found.positions)
    for array in (test, train, rows):
        array.setflags(write=False)
    return _Index(found.id, test, train, rows)


@cached(8)
def _places(key: Key, now: Stamp) -> np.ndarray:
    index, ids = _index(key[0], now), cached_table(key).predictions.ids
    mine = np.flatnonzero(index.test == (key[1] == "test"))
    at = pc.index_in(ids.cast(pa.string()), index.id.take(pa.array(mine)))
    known = np.asarray(pc.is_valid(at), dtype=bool)
    places = np.full(len(ids), -1, dtype=np.int64)
    places[known] = mine[np.asarray(at.drop_null(), dtype=np.int64)]
    places.setflags(write=False)
    return places


@st.cache_resource(max_entries=4, show_spinner="Comparing with the training images …")
def _training_distances(key: Key, now: Stamp) -> np.ndarray:
    table = cached_table(key)
    index, at = _index_of(table)
    learnt = np.flatnonzero(_learnt(table, index))
    column = np.full(len(index.rows), -1, dtype=np.int64)  # of an image among the training images
    column[learnt] = np.arange(len(learnt))
    far = np.full(len(table), np.nan)
    rows = np.flatnonzero(at >= 0)
    train = np.ascontiguousarray(index.rows[learnt].T)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        alike = index.rows[at[block]] @ train  # (block, n_learnt)
        own = column[at[block]]
        alike[np.flatnonzero(own >= 0), own[own >= 0]] = -2
        far[block] = np.clip(1 - alike.max(axis=1), 0, 2)
    far.setflags(write=False)
    return far
