"""The table of sort orders: a new order is one row here.

An order's name is its text in the address; "" is the order of the category.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from dashboard.selection import similar, slices
from dashboard.shared import tables
from dashboard.shared.tables import Table
from engine.analysis.categories import margin


@dataclass(frozen=True)
class Order:
    """One order of the images.

    Attributes
    ----------
    name : its name in the address
    title : its name on the page; {score} becomes the name of the table's score
    keys : function from the table to what is sorted, smallest first, nan last, float64 (n,)
    applies : whether a table has what is sorted
    stamp : a further value on which the keys depend
    """

    name: str
    title: str
    keys: Callable[[Table], np.ndarray]
    applies: Callable[[Table], bool] = lambda _: True
    stamp: Callable[[Table], Hashable] = lambda _: None


def has_labels(table: Table) -> bool:
    """Return whether some image of a table has a label."""
    return bool(np.isfinite(table.loss).any())


def ordered(table: Table, rows: np.ndarray, name: str) -> np.ndarray:
    """Return rows of a table in an order, ties by id; with '' as they are."""
    if not name:
        return rows
    by_id = np.sort(rows)
    return by_id[np.argsort(BY_NAME[name].keys(table)[by_id], kind="stable")]


def orders_of(table: Table) -> list[str]:
    """Return the names of the orders that a table has, the category's own first."""
    return ["", *(order.name for order in ORDERS if order.applies(table))]


def title_of(table: Table, name: str) -> str:
    """Return the name of an order on the page as plain text."""
    return BY_NAME[name].title.replace("{score}", table.score_name)


def _confidence(table: Table) -> np.ndarray:
    rows = np.arange(len(table))
    return np.asarray(table.predictions.probabilities[rows, table.y_pred])


def _pixels(table: Table) -> np.ndarray:
    facts = tables.facts(table, np.arange(len(table)))
    width, height = (
        facts[name].combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("width", "height")
    )
    return np.asarray(width * height)


def _bytes(table: Table) -> np.ndarray:
    column = tables.facts(table, np.arange(len(table)))["bytes"].combine_chunks()
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _has_prediction(table: Table) -> bool:
    return table.predicted


def _has_score(table: Table) -> bool:
    return table.positive is not None and table.predicted


ORDERS = (
    Order("loss", "Highest loss first", lambda table: -table.loss, has_labels),
    Order("loss-up", "Lowest loss first", lambda table: table.loss, has_labels),
    Order("confidence", "Most confident first", lambda table: -_confidence(table), _has_prediction),
    Order("confidence-up", "Least confident first", _confidence, _has_prediction),
    Order(
        "margin", "Smallest margin first",
        lambda table: margin(table.predictions.probabilities), _has_prediction,
    ),
    Order("p", "Highest {score} first", lambda table: -table.score, _has_score),
    Order("p-up", "Lowest {score} first", lambda table: table.score, _has_score),
    Order("id", "By id", lambda table: np.arange(len(table), dtype=np.float64)),
    Order("size", "Most pixels first", lambda table: -_pixels(table)),
    Order("size-up", "Fewest pixels first", _pixels),
    Order("bytes", "Largest files first", lambda table: -_bytes(table)),
    Order("bytes-up", "Smallest files first", _bytes),
    Order(
        "brightness", "Brightest first",
        lambda table: -slices.measured(table, "brightness"),
        stamp=lambda _: slices.stamp(),
    ),
    Order(
        "brightness-up", "Darkest first",
        lambda table: slices.measured(table, "brightness"),
        stamp=lambda _: slices.stamp(),
    ),
    Order(
        "distance", "Farthest from training first",
        lambda table: -similar.training_distances(table),
        similar.has_training_distances, similar.stamp,
    ),
)  # fmt: skip
BY_NAME = {order.name: order for order in ORDERS}
