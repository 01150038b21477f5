"""Data of the Errors page: the table and the rows to show, including suspects and verdicts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.gallery.tiles import large_of, tiles_of
from dashboard.review import notes, standing
from dashboard.review.suspects import NEVER, reasons, triage_stamp, triage_table
from dashboard.selection import rows as selection_rows
from dashboard.selection import similar
from dashboard.selection.filters import LIKE
from dashboard.selection.image_filter import (
    ALL,
    OF_LABELS,
    REVIEWED,
    REVIEWS,
    SHOWN,
    SUSPECTS,
    ImageFilter,
    has_category,
)
from dashboard.selection.orders import ordered
from dashboard.shared import tables
from dashboard.shared.cache import cached
from dashboard.shared.paging import PER_PAGE, page_count, page_of
from dashboard.shared.stamps import Stamp
from dashboard.shared.tables import Key, Table, cached_table
from dashboard.views.errors.beside import Beside
from engine.errors import UserError
from engine.runs.run import OUT_OF_FOLD
from engine.runs.run_list import open_run
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
    like : the image that all are compared with, '' for none
    reasons : by id, why the labels are suspected, where suspects are shown
    """

    table: Table
    order: np.ndarray
    at: int | None
    number: int
    pages: int
    like: str = ""
    reasons: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def marks(self) -> bool:
        """Return whether tiles say if they are correct: superfluous where all are errors."""
        y_true = self.table.predictions.y_true[self.order]
        incorrect = (y_true >= 0) & (y_true != self.table.y_pred[self.order])
        return self.table.predicted and not incorrect.all()

    def page(self, number: int) -> np.ndarray:
        """Return the rows on a page."""
        return page_of(self.order, number)

    def tag(self, number: int) -> str:
        """Return a name for a page that depends on what its tiles say, '' for an empty page."""
        chosen = self.page(number)
        said = standing.verdict_texts(self.table, chosen), notes.tag_texts(self.table, chosen)
        shown = f"{said} {self.like} {bool(self.reasons)}"
        content = f"{self.table.key} {shown} {chosen.tolist()}"
        return hashlib.sha256(content.encode()).hexdigest()[:24] if len(chosen) else ""


def table_of(selected: Table, show: str) -> Table:
    """Return the predictions to show; for reviews those of all labelled images if available.

    Reviewed training images are shown where they are in no other table.
    """
    if show not in REVIEWS:
        return selected
    name = selected.key[0]
    reviewed = reviewed_split(open_run(name))
    if show == REVIEWED and not selected.predicted and reviewed not in OUT_OF_FOLD:
        return selected
    return tables.table(name, reviewed)


def counts(table: Table, image_filter: ImageFilter) -> dict[str, int | None]:
    """Return how many images each category has under the filters, None where that is unknown.

    Parameters
    ----------
    table : the selected labelled images; suspects and verdicts are those of all labelled images
    """
    try:
        kept = selection_rows.count(table, image_filter)
    except UserError:  # the images of the filter are not known yet; the gallery says why
        return dict.fromkeys(SHOWN)
    found: dict[str, int | None] = dict.fromkeys(SHOWN, kept.images)
    found |= {each: kept.correct for each in OF_LABELS if each.endswith("-correct")}
    found |= {each: kept.incorrect for each in OF_LABELS if each.endswith("-incorrect")}
    found = {each: n for each, n in found.items() if has_category(table, each)}
    for each in REVIEWS:
        found[each] = _review_count(table, replace(image_filter, show=each, sort="", image=None))
    return found


def _review_count(selected: Table, image_filter: ImageFilter) -> int | None:
    if image_filter.show == SUSPECTS and triage_stamp(selected.key[0]) == NEVER:
        return None
    try:
        return len(rows(table_of(selected, image_filter.show), image_filter))
    except UserError:  # the slices of these images are not measured yet
        return None


def gallery_of(table: Table, image_filter: ImageFilter) -> Gallery:
    """Return the images that pass a filter; the page contains the enlarged image, if any."""
    order = rows(table, image_filter)
    row = tables.row_of(table, image_filter.image) if image_filter.image is not None else None
    found = np.flatnonzero(order == row) if row is not None else np.empty(0)
    at = int(found[0]) if len(found) else None
    pages = page_count(len(order))
    number = image_filter.page if at is None else at // PER_PAGE + 1
    like = image_filter.where.get(LIKE, "")
    why = reasons(table.key[0]) if image_filter.show == SUSPECTS else {}
    return Gallery(table, order, at, min(number, pages), pages, like, why)


def context(table: Table, image_filter: ImageFilter) -> str:
    """Return a name that depends on all that decides what each category shows first.

    Parameters
    ----------
    table : the selected images; what suspects and reviewed images depend on is not named
    """
    rows_of = selection_rows.depends_on(table, image_filter.in_category(ALL))
    content = f"{rows_of} {standing.stamp()} {notes.stamp()}"
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def tiles(shown: Gallery, number: int) -> list[dict[str, Any]]:
    """Return the tiles of a page, with the distance where images are like another one."""
    chosen = shown.page(number)
    made = tiles_of(shown.table, chosen)
    for tile in made:
        tile["reason"] = " ".join(shown.reasons.get(tile["id"], []))
    if shown.like:
        far = similar.distances(shown.table, shown.like)[chosen]
        for tile, distance in zip(made, far.tolist(), strict=True):
            tile.update(pName="distance", p=f"{distance:.3f}")
    return made


def large(shown: Gallery, beside: Beside | None) -> dict[str, Any] | None:
    """Return the viewer's data for the enlarged image and one beside it, None without one."""
    if shown.at is None:
        return None
    return {
        **large_of(shown.table, shown.order, shown.at),
        "similar": similar.offers_similar(shown.table.key[0]),
        "beside": beside and beside.data(),
        "following": following(shown) if beside is None else "",
    }


def following(shown: Gallery) -> str:
    """Return a name for the image after the enlarged one that depends on all that is shown of it.

    '' without one.
    """
    if shown.at is None or shown.at + 1 >= len(shown.order):
        return ""
    said = f"{standing.stamp()}{notes.stamp()}"  # of identical images, and all tags in use
    return f"{shown.tag((shown.at + 1) // PER_PAGE + 1)}/{shown.at + 1}/{said}"


def rows(table: Table, image_filter: ImageFilter) -> np.ndarray:
    """Return the rows that pass a filter in the order in which to show them."""
    show = image_filter.show
    if show not in REVIEWS:
        return selection_rows.rows(table, image_filter)
    kept = selection_rows.rows(table, replace(image_filter, show=ALL, sort=""))
    if show == SUSPECTS:
        order = _suspects(table.key, triage_stamp(table.key[0]))
    else:
        order = standing.reviewed_rows(table)
    if show == REVIEWED and image_filter.image:  # stays while it is enlarged, even after an undo
        shown = tables.row_of(table, image_filter.image)
        if shown is not None:
            order = np.union1d(order, [shown])
    if LIKE in image_filter.where:  # those kept are nearest first
        found = kept[np.isin(kept, order)]
    else:
        passing = np.zeros(len(table), dtype=bool)
        passing[kept] = True
        found = np.asarray(order[passing[order]], dtype=np.int64)
    return ordered(table, found, image_filter.sort)


@cached(8)
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
