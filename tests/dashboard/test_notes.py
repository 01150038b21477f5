"""Tags and notes on the page: in the large view, on many images, in the search and the CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from dashboard.gallery import tiles
from dashboard.review import notes, verdicts
from dashboard.selection.text_search import has_text
from dashboard.shared import browser_sync, tables
from dashboard.views.errors import bulk
from dashboard.views.errors.images_csv import csv_of
from engine.runs.predictions import UNKNOWN
from tests.support.pages import assert_harmless, errors

HOSTILE = "<b>x</b> [a](http://evil.invalid)"


@pytest.fixture
def session(monkeypatch) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(browser_sync.st, "session_state", kept)
    return kept


def test_the_large_view_sends_tags_and_a_note(make_run, monkeypatch, session):
    table = tables.table(make_run(n=12, n_test=4, distinct=12).name)
    rows = np.array([3])

    def send(**message: Any) -> dict[str, Any]:
        sent = [{"id": "0000003", **message, "n": browser_sync.last_message() + 1}]
        monkeypatch.setattr(browser_sync, "component_value", lambda widget, event: sent)
        verdicts.keep_verdicts(table, "image")
        shown: dict[str, Any] = tiles.large_of(table, rows, 0)["notes"]
        return shown

    assert send(tag="night", on=True) == {"tags": ["night"], "note": "", "known": ["night"]}
    assert send(note="by the lake")["note"] == "by the lake"
    assert tiles.tiles_of(table, np.array([3, 4]))[0]["tags"] == "night"
    found = [np.flatnonzero(has_text(table, text)).tolist() for text in ("NIGHT lake", "nights")]
    assert found == [[3], []]
    assert send(tag="night", on=False)["tags"] == []
    # an image without a label has tags as well
    test = tables.table(table.key[0], "test")
    assert test.predictions.y_true[0] == UNKNOWN
    assert tiles.large_of(test, np.array([0]), 0)["notes"] is not None


def test_a_tag_on_many_images_its_undoing_and_the_csv(make_run, session):
    table, rows = tables.table(make_run(n=12, distinct=12).name), np.arange(5)
    notes.change(table, rows[:1], lambda note: note.with_tag("night"))
    session["bulk_tag"] = "night"
    bulk.tag(table, rows, "bulk_tag")
    assert session["bulk_said"] == "4 images tagged."
    session["bulk_untag"] = "night"
    bulk.tag(table, rows[:2], "bulk_untag")
    assert notes.tags_on(table, rows[:2]) == [] and notes.tags_on(table, rows) == ["night"]
    notes.change(table, rows[1:2], lambda note: note.with_text("=1"))
    bulk.undo()  # which leaves the later note alone
    assert session["bulk_said"] == "The earlier tags of 1 image are restored."
    bulk.undo()
    assert [note.tags for note in notes.notes_of(table, rows)] == [("night",), (), (), (), ()]

    read = list(csv.DictReader(io.StringIO(csv_of(table, np.arange(2)).decode())))
    assert [(row["tags"], row["note"]) for row in read] == [("night", ""), ("", "'=1")]


def test_hostile_tags_do_no_harm_on_the_page(make_run):
    run = make_run(n=12, distinct=12)
    table = tables.table(run.name)
    notes.change(table, np.arange(12), lambda note: note.with_tag(HOSTILE))
    app = errors(run=run.name, show="all", text=HOSTILE)
    assert not app.exception
    assert_harmless(app)
    assert "**12** of 12" in next(e.value for e in app.markdown if "of 12" in e.value)
