"""The rows of a table that a filter keeps, in the order to show them; cached."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from dashboard.selection import similar
from dashboard.selection.filters import BY_PARAMETER, LIKE
from dashboard.selection.image_filter import ALL, ImageFilter
from dashboard.selection.orders import BY_NAME, ordered
from dashboard.shared.cache import cached
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.categories import category_rows
from engine.runs.predictions import UNKNOWN

NEAREST = "nearest"  # the order of images that are like another one
Where = tuple[tuple[str, str], ...]  # filters by parameter


def rows(table: Table, image_filter: ImageFilter) -> np.ndarray:
    """Return the rows that a filter keeps, in the order to show them, int64, read-only."""
    where, sort, stamps = _depends_on(table, image_filter)
    seed = image_filter.seed if image_filter.show.startswith("random") else 0
    chosen = _rows(table.key, image_filter.show, seed, where, _stamps(where))
    return _sorted(table.key, image_filter.show, sort, where, stamps, chosen) if sort else chosen


def depends_on(table: Table, image_filter: ImageFilter) -> Hashable:
    """Return a value that changes with all on which the rows of a category depend."""
    return table.key, image_filter.seed, *_depends_on(table, image_filter)


@dataclass(frozen=True)
class Count:
    """How many images a filter keeps: all, correct and incorrect ones."""

    images: int
    correct: int
    incorrect: int


def count(table: Table, image_filter: ImageFilter) -> Count:
    """Return how many images the filters keep, of any category."""
    where = tuple(image_filter.where.items())
    return _count(table.key, where, _stamps(where))


def _depends_on(table: Table, image_filter: ImageFilter) -> tuple[Where, str, tuple[Hashable, ...]]:
    """Return the filters, the order, and the stamps of both."""
    where = tuple(image_filter.where.items())
    sort = image_filter.sort or (NEAREST if LIKE in image_filter.where else "")
    of_order = similar.stamp if sort == NEAREST else BY_NAME[sort].stamp if sort else None
    return where, sort, (*_stamps(where), of_order and of_order(table))


def _stamps(where: Where) -> tuple[Hashable, ...]:
    return tuple(BY_PARAMETER[name].stamp() for name, _ in where)


@cached(32)
def _category(key: Key, show: str, seed: int) -> np.ndarray:
    table = cached_table(key)
    if show == ALL:
        order = np.argsort(-table.loss, kind="stable")  # unlabelled (nan) last
    else:
        y_true, p = table.predictions.y_true, table.predictions.probabilities
        order = category_rows(show, y_true, p, seed=seed)
    order.setflags(write=False)
    return order


@cached(64)
def _rows(key: Key, show: str, seed: int, where: Where, stamps: tuple[Hashable, ...]) -> np.ndarray:
    order, keep = _category(key, show, seed), _kept(key, where, stamps)
    chosen = order if keep.all() else order[keep[order]]
    chosen.setflags(write=False)
    return chosen


@cached(16)
def _sorted(
    key: Key, show: str, sort: str, where: Where, stamps: tuple[Hashable, ...], _rows: np.ndarray
) -> np.ndarray:
    table = cached_table(key)
    if sort == NEAREST:
        far = similar.distances(table, dict(where)[LIKE])
        found = _rows[np.argsort(far[_rows], kind="stable")]
    else:
        found = ordered(table, _rows, sort)
    found.setflags(write=False)
    return found


@cached(16)
def _kept(key: Key, where: Where, stamps: tuple[Hashable, ...]) -> np.ndarray:
    table = cached_table(key)
    keep = np.ones(len(table), dtype=bool)
    for name, value in where:
        keep &= BY_PARAMETER[name].keep(table, value)
    keep.setflags(write=False)
    return keep


@cached(64)
def _count(key: Key, where: Where, stamps: tuple[Hashable, ...]) -> Count:
    table, keep = cached_table(key), _kept(key, where, stamps)
    y_true = table.predictions.y_true[keep]
    known = y_true != UNKNOWN
    correct = int(np.count_nonzero(known & (y_true == table.y_pred[keep])))
    return Count(len(y_true), correct, int(np.count_nonzero(known)) - correct)
