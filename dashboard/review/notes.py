"""Tags and notes on images: the current ones, those of a table's rows, and their changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.review.reviewer import reviewer
from dashboard.shared import tables
from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Key, Table, cached_table
from engine.runs.image_notes import ImageNote, load_notes, notes_path, save_notes

MOST_KNOWN = 200  # tags that are offered


def current_notes() -> dict[str, ImageNote]:
    """Return the tags and notes by the image's checksum."""
    return _notes(stamp())


def stamp() -> Stamp:
    """Return a value that changes with every tag and note."""
    return stamp_of(notes_path())


def known_tags() -> list[str]:
    """Return the tags that images of any run have, sorted."""
    return sorted({tag for note in current_notes().values() for tag in note.tags})[:MOST_KNOWN]


def notes_of(table: Table, rows: np.ndarray) -> list[ImageNote]:
    """Return the tags and note of each row; empty ones, without a checksum where none is known."""
    known = current_notes()
    sums = tables.facts(table, rows)["sha256"].to_pylist()
    return [known.get(sha256) or ImageNote(sha256) for sha256 in (each or "" for each in sums)]


def tag_texts(table: Table, rows: np.ndarray) -> list[str]:
    """Return the tags of each row as text, '' for a row without a tag."""
    if not current_notes():
        return [""] * len(rows)
    return [", ".join(note.tags) for note in notes_of(table, rows)]


def tags_on(table: Table, rows: np.ndarray) -> list[str]:
    """Return the tags that any of the rows has, sorted."""
    return sorted({tag for note in notes_of(table, rows) for tag in note.tags})


def noted_rows(table: Table) -> np.ndarray:
    """Return the rows that have a tag or a note, ascending."""
    return _noted_rows(table.key, stamp())


def note_data(table: Table, row: int) -> dict[str, Any] | None:
    """Return the viewer's data of an image's tags and note, None for an image never read."""
    note = notes_of(table, np.array([row]))[0]
    if not note.sha256:
        return None
    return {"tags": list(note.tags), "note": note.note, "known": known_tags()}


def change(
    table: Table, rows: np.ndarray, changed: Callable[[ImageNote], ImageNote]
) -> tuple[list[ImageNote], list[ImageNote]]:
    """Change the tags or notes of images, and return those that changed, before and after.

    Raises
    ------
    UserError
        If a tag or note is not allowed, or the disk cannot be written.
    """
    before = [note for note in notes_of(table, rows) if note.sha256]
    pairs = {note: changed(note) for note in before}  # identical images share theirs
    pairs = {old: new for old, new in pairs.items() if old != new}
    save_notes(list(pairs.values()), reviewer())
    return list(pairs), list(pairs.values())


def restore(before: Sequence[ImageNote], after: Sequence[ImageNote]) -> int:
    """Give images their earlier tags and notes where nobody has changed them since; count them."""
    known = current_notes()
    standing = [known.get(new.sha256) or ImageNote(new.sha256) for new in after]
    kept = [
        old
        for old, new, now in zip(before, after, standing, strict=True)
        if (now.tags, now.note) == (new.tags, new.note)
    ]
    save_notes(kept, reviewer())
    return len(kept)


@cached(2)
def _notes(stamp: Stamp) -> dict[str, ImageNote]:
    return load_notes()


@cached(8)
def _noted_rows(key: Key, stamp: Stamp) -> np.ndarray:
    table, known = cached_table(key), pa.array(current_notes(), pa.string())
    sums = tables.facts(table, np.arange(len(table)))["sha256"]
    found = np.flatnonzero(np.asarray(pc.is_in(sums, value_set=known), dtype=bool))
    found.setflags(write=False)
    return found
