"""Saved views: what Errors shows is saved under a name, opened again, and deleted."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shortcuts import shortcuts
from engine.errors import UserError
from engine.runs.saved_views import (
    MOST_VIEWS,
    delete_view,
    load_views,
    save_view,
    views_path,
)
from tests.support.pages import assert_harmless, errors, sentence

HOSTILE = "<b>[x](http://evil.invalid)</b>"


def pressed(app: AppTest, label: str) -> AppTest:
    return next(each for each in app.button if each.label == label).click().run()


def test_a_view_is_saved_opened_and_deleted_on_errors(make_run, monkeypatch):
    run = make_run(n=60, n_test=5)
    app = errors(run=run.name, show="most-uncertain", true="cat", sort="id", page="1")
    first = sentence(app)
    next(each for each in app.text_input if each.key.startswith("view_name")).set_value(
        "night  cats"
    ).run()
    assert load_views(run) == {
        "night cats": {"show": "most-uncertain", "true": "cat", "sort": "id"}
    }
    app = errors(run=run.name, on="test")
    assert sentence(app) != first
    app = pressed(app, "night cats")
    assert sentence(app) == first
    assert app.query_params["true"] == "cat" and "on" not in app.query_params

    # the same by Ctrl+K
    app = errors(run=run.name)
    asked = {"go": ["view", "night cats"]}
    monkeypatch.setattr(shortcuts, "component_value", lambda key, event: asked.pop(event, None))
    assert sentence(app.run()) == first

    app = pressed(app, "Delete")
    assert load_views(run) == {} and not [b for b in app.button if b.label == "night cats"]


def test_names_are_new_short_and_few(make_run):
    run = make_run(n=8, n_test=0)
    view = {"show": "all"}
    save_view(run, "one", view)
    for name in ("one", "", "x" * 81, "a\x00b"):
        with pytest.raises(UserError, match="view"):
            save_view(run, name, view)
    for number in range(MOST_VIEWS - 1):
        save_view(run, str(number), view)
    with pytest.raises(UserError, match=f"at most {MOST_VIEWS}"):
        save_view(run, "one more", view)
    delete_view(run, "one")
    delete_view(run, "one")
    assert "one" not in load_views(run) and len(load_views(run)) == MOST_VIEWS - 1


def test_a_file_from_a_stranger_does_no_harm(make_run):
    run = make_run(n=8, n_test=0)
    strange = '{"%s": {"embed": "true", "run": "other", "show": "all"}, "n": 3, "l": {"a": []}}'
    views_path(run).write_text(strange % HOSTILE)
    app = errors(run=run.name)
    assert_harmless(app)
    opening = [each for each in app.button if each.key and each.key.startswith("view_0")]
    assert len(opening) == 1 and "](http" not in opening[0].label
    app = opening[0].click().run()
    assert not app.exception and app.query_params["run"] == run.name
    assert "embed" not in app.query_params
    views_path(run).write_text("{")
    assert not errors(run=run.name).exception
