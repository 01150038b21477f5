"""Stores the tags and the note that people give an image, in one append-only table.

They belong to the image's content (its sha256), as verdicts do, so they stay valid after renaming
and in every run of the workspace. A line holds all tags and the note of one image; the last counts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engine.errors import UserError
from engine.runs.json_lines import append_lines, read_lines
from engine.runs.roots import workspace
from engine.runs.verdicts import default_reviewer, utc_now

MOST_TAGS, MOST_TAG_LETTERS, MOST_NOTE_LETTERS = 20, 40, 2000


@dataclass(frozen=True)
class ImageNote:
    """The tags of an image and the note on it.

    Attributes
    ----------
    sha256 : checksum of the image's file
    tags : without duplicates, sorted
    note : text, '' for none
    reviewer, time : the author and the time (UTC) of the last change
    """

    sha256: str
    tags: tuple[str, ...] = ()
    note: str = ""
    reviewer: str = ""
    time: str = ""

    def __bool__(self) -> bool:
        """Return whether there is a tag or a note."""
        return bool(self.tags or self.note)

    def with_tag(self, tag: str, on: bool = True) -> ImageNote:
        """Return the note with a tag, or without it.

        Raises
        ------
        UserError
            If the tag is empty or too long, or the image has too many.
        """
        name = clean_tag(tag) if on else tag
        tags = {*self.tags, name} if on else {*self.tags} - {name}
        if len(tags) > MOST_TAGS:
            raise UserError(f"an image can have {MOST_TAGS} tags; remove one first.")
        return replace(self, tags=tuple(sorted(tags)))

    def with_text(self, text: str) -> ImageNote:
        """Return the note with another text.

        Raises
        ------
        UserError
            If the text is too long.
        """
        text = "\n".join(_visible(line) for line in text.splitlines()).strip()
        if len(text) > MOST_NOTE_LETTERS:
            raise UserError(
                f"the note has {len(text):,} characters; shorten it to {MOST_NOTE_LETTERS:,}."
            )
        return replace(self, note=text)


def clean_tag(tag: str) -> str:
    """Return a tag as it is stored: one line, without control characters.

    Raises
    ------
    UserError
        If nothing is left, or it is too long.
    """
    name = " ".join(_visible(tag).split())
    if not 0 < len(name) <= MOST_TAG_LETTERS:
        raise UserError(f"the tag {name[:60]!r} must have 1 to {MOST_TAG_LETTERS} characters.")
    return name


def notes_path() -> Path:
    """Return the path of the tags and notes, which all runs share."""
    return workspace() / "verdicts" / "notes.jsonl"


def load_notes() -> dict[str, ImageNote]:
    """Return the current tags and notes by the image's checksum; invalid lines are ignored.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    found: dict[str, ImageNote] = {}
    for values in read_lines(notes_path()):
        sha256, tags = values.get("sha256"), values.get("tags")
        if not isinstance(sha256, str) or not isinstance(tags, list):
            continue
        note = ImageNote(sha256, reviewer=str(values.get("reviewer", "")))
        note = replace(note, time=str(values.get("time", "")))
        try:
            for tag in tags:
                note = note.with_tag(str(tag))
            note = note.with_text(str(values.get("note", "")))
        except UserError:
            continue
        found[sha256] = note
    return {sha256: note for sha256, note in found.items() if note}


def save_notes(notes: Sequence[ImageNote], reviewer: str = "") -> None:
    """Save the tags and notes of several images at once, all or none.

    Raises
    ------
    UserError
        If the disk cannot be written.
    """
    by = {"reviewer": reviewer or default_reviewer(), "time": utc_now()}
    append_lines(notes_path(), [asdict(note) | by for note in notes])


def _visible(text: str) -> str:
    """Return text without control characters, marks of direction and halves of characters."""
    return "".join(" " if _is_hidden(letter) else letter for letter in text)


def _is_hidden(letter: str) -> bool:
    joins = letter in "\u200c\u200d"  # part of emoji and of some scripts
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and not joins
