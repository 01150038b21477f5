"""The images chosen on the Errors page: by click, range or all of the filter; kept in the session.

The choice belongs to the table and its filters: with other filters nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard.selection.image_filter import ImageFilter
from dashboard.shared import browser_sync, tables
from dashboard.shared.tables import Table

_CHOSEN = "chosen_images"


@dataclass(frozen=True, eq=False)
class Chosen:
    """What is chosen of which images; ``rows`` is ascending, int64."""

    of: Hashable
    rows: np.ndarray


def chosen_rows(table: Table, image_filter: ImageFilter) -> np.ndarray:
    """Return the chosen rows of a table, ascending."""
    kept: Chosen | None = st.session_state.get(_CHOSEN)
    if kept is None or kept.of != _of(table, image_filter):
        return np.empty(0, dtype=np.int64)
    return kept.rows


def choose(table: Table, image_filter: ImageFilter, rows: np.ndarray) -> None:
    """Choose these rows and no others."""
    rows = np.unique(rows).astype(np.int64)
    st.session_state[_CHOSEN] = Chosen(_of(table, image_filter), rows)


def choice_changed(table: Table, image_filter: ImageFilter, order: np.ndarray, widget: str) -> None:
    """Take over what the gallery's messages choose (callback).

    A message has ids and on; or from and to, the ends of a range of the order; or all.
    """
    rows = chosen_rows(table, image_filter)
    for message in browser_sync.new_messages(widget):
        if message.get("all"):
            rows = order
            continue
        if "from" in message:
            meant = _range(table, order, message)
        else:
            ids = message.get("ids")
            found = [tables.row_of(table, str(id)) for id in (ids if isinstance(ids, list) else [])]
            meant = np.array([row for row in found if row is not None], dtype=np.int64)
        keep = np.union1d if message.get("on", True) else np.setdiff1d
        rows = keep(rows, meant)
    choose(table, image_filter, rows)
    browser_sync.note_change()


def cleared(table: Table, image_filter: ImageFilter) -> None:
    """Choose nothing (callback)."""
    choose(table, image_filter, np.empty(0, dtype=np.int64))


def _range(table: Table, order: np.ndarray, message: dict[str, object]) -> np.ndarray:
    """Return the rows of the order between two images, both included."""
    places = []
    for end in ("from", "to"):
        row = tables.row_of(table, str(message.get(end)))
        at = np.flatnonzero(order == row) if row is not None else np.empty(0, dtype=np.int64)
        if not len(at):
            return np.empty(0, dtype=np.int64)
        places.append(int(at[0]))
    return order[min(places) : max(places) + 1]


def _of(table: Table, image_filter: ImageFilter) -> Hashable:
    return table.key, image_filter.show, tuple(sorted(image_filter.where.items()))
