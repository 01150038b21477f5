"""Data of the Errors page: the table and the rows to show, including suspects and verdicts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from dashboard.review import verdicts
from dashboard.review.suspects import NEVER, triage_stamp, triage_table
from dashboard.selection import rows as selection_rows
from dashboard.selection import split
from dashboard.selection.image_filter import ALL, REVIEWED, REVIEWS, SUSPECTS, ImageFilter
from dashboard.shared import tables
from dashboard.shared.paging import PER_PAGE, page_count, page_of
from dashboard.shared.stamps import Stamp
from dashboard.shared.tables import Key, Table, cached_table
from engine.runs.run import OUT_OF_FOLD, open_run
from engine.runs.triage import reviewed_split


@dataclass(frozen=True, eq=False)
class Gallery:
    """The images that pass the filter, and the part of them that is shown.

    Attributes
    ----------
    table : their predictions
    order : int64 array, rows of the table in the order to show them
    at : position in ``order`` of the enlarged image, or None
    number, pages : the shown page, from 1, and the number of pages
    """

    table: Table
    order: np.ndarray
    at: int | None
    number: int
    pages: int

    def page(self, number: int) -> np.ndarray:
        """Return the rows on a page."""
        return page_of(self.order, number)

    def tag(self, number: int) -> str:
        """Return a name for a page that depends on its images, '' for an empty page."""
        chosen = self.page(number)
        content = f"{self.table.key} {verdicts.stamp()} {chosen.tolist()}"
        return hashlib.sha256(content.encode()).hexdigest()[:24] if len(chosen) else ""


def table_of(name: str, show: str) -> Table:
    """Return the predictions to show; for reviews those of all labelled images if available."""
    if show not in REVIEWS:
        return split.labelled(name, with_test=True)
    return tables.table(name, reviewed_split(open_run(name)))


def gallery_of(table: Table, image_filter: ImageFilter) -> Gallery:
    """Return the images that pass a filter; the page contains the enlarged image, if any."""
    order = rows(table, image_filter)
    row = tables.row_of(table, image_filter.image) if image_filter.image is not None else None
    found = np.flatnonzero(order == row) if row is not None else np.empty(0)
    at = int(found[0]) if len(found) else None
    pages = page_count(len(order))
    number = image_filter.page if at is None else at // PER_PAGE + 1
    return Gallery(table, order, at, min(number, pages), pages)


def rows(table: Table, image_filter: ImageFilter) -> np.ndarray:
    """Return the rows that pass a filter in the order in which to show them."""
    show = image_filter.show
    if show not in REVIEWS:
        return selection_rows.rows(table, image_filter)
    passing = np.zeros(len(table), dtype=bool)
    passing[selection_rows.rows(table, replace(image_filter, show=ALL))] = True
    if show == SUSPECTS:
        order = _suspects(table.key, triage_stamp(table.key[0]))
    else:
        order = verdicts.reviewed_rows(table)
    if show == REVIEWED and image_filter.image:  # stays while it is enlarged, even after an undo
        shown = tables.row_of(table, image_filter.image)
        if shown is not None:
            order = np.union1d(order, [shown])
    return np.asarray(order[passing[order]], dtype=np.int64)


@st.cache_resource(max_entries=8, show_spinner=False)
def _suspects(key: Key, stamp: Stamp) -> np.ndarray:
    """Return the suspected rows of a table most suspicious first."""
    if stamp == NEVER:
        return np.empty(0, dtype=np.int64)
    found = triage_table(key[0], stamp)
    if key[1] not in OUT_OF_FOLD:
        found = found[found["split"] == key[1]]
    ids = pa.array(found["id"].astype(str).drop_duplicates().tolist(), pa.string())
    at = pc.index_in(ids, cached_table(key).predictions.ids.cast(pa.string()))
    return np.asarray(at.drop_null(), dtype=np.int64)
