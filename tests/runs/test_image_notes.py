"""Tags and notes: the last line counts, and any text is kept as one that cannot do harm."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from engine.runs.image_notes import (
    MOST_NOTE_LETTERS,
    MOST_TAG_LETTERS,
    MOST_TAGS,
    ImageNote,
    load_notes,
    notes_path,
    save_notes,
)

A, B = (hashlib.sha256(name).hexdigest() for name in (b"a", b"b"))


def test_the_last_line_counts_and_an_empty_one_removes():
    first = ImageNote(A).with_tag(" night \n shot ").with_tag("blurred")
    assert first.tags == ("blurred", "night shot")
    save_notes([first, ImageNote(B).with_text("one\ntwo")], "Ada")
    assert load_notes()[A].tags == first.tags and load_notes()[A].reviewer == "Ada"
    assert load_notes()[B].note == "one\ntwo" and load_notes()[B].time
    save_notes([first.with_tag("blurred", on=False), ImageNote(B)])
    assert {sha256: note.tags for sha256, note in load_notes().items()} == {A: ("night shot",)}


def test_lines_that_are_not_notes_are_left_out():
    save_notes([ImageNote(A).with_tag("kept")])
    lines = [
        '{"sha256": 3, "tags": ["x"]}', '{"sha256": "b", "tags": "x"}', "[]", "nonsense",
        f'{{"sha256": "b", "tags": ["{"x" * 41}"]}}', '{"sha256": "b", "tags": [""]}',
    ]  # fmt: skip
    with notes_path().open("a", encoding="utf-8") as file:
        file.write("\n".join(lines))
    assert list(load_notes()) == [A]
    save_notes([ImageNote(B).with_tag("after")])  # the last line was not ended
    assert sorted(load_notes()) == sorted([A, B])


def test_too_long_and_too_many_are_refused_by_their_bound():
    with pytest.raises(UserError, match=f"1 to {MOST_TAG_LETTERS} characters"):
        ImageNote(A).with_tag("x" * (MOST_TAG_LETTERS + 1))
    with pytest.raises(UserError, match="1 to"):
        ImageNote(A).with_tag(" \x00\u202e ")
    with pytest.raises(UserError, match="2,001 characters"):
        ImageNote(A).with_text("x" * (MOST_NOTE_LETTERS + 1))
    full = ImageNote(A, tuple(f"{i:02}" for i in range(MOST_TAGS)))
    assert full.with_tag("01") == full
    with pytest.raises(UserError, match=f"{MOST_TAGS} tags"):
        full.with_tag("one more")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec=None), max_size=30), st.text(st.characters(codec=None)))
def test_any_text_is_read_as_it_was_saved(tag, text):
    note = ImageNote(A).with_text(text)
    try:
        note = note.with_tag(tag)
    except UserError:
        assert not tag.strip() or not any(letter.isprintable() for letter in tag)
    save_notes([note])
    found = load_notes().get(A, ImageNote(A))
    assert (found.tags, found.note) == (note.tags, note.note)
    assert "\x00" not in text or "\x00" not in found.note
    found.note.encode()  # no half of a character, which no file could hold
