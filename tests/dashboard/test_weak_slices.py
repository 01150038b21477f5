"""Where it fails: the slices on the Overview page, and their images on the Errors page."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.selection import rows as selection_rows
from dashboard.selection import slices as selection_slices
from dashboard.selection.image_filter import ImageFilter
from dashboard.selection.slices import Measuring
from dashboard.shared import commands, tables
from dashboard.views.overview import weak_slices
from engine.analysis.slices import cuts, slices
from engine.data import properties
from engine.data.properties import image_properties
from engine.errors import UserError
from engine.runs.verdicts import Verdict, save_verdict
from tests.support.pages import APP, at_page, errors, opened


def captions(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def test_the_overview_counts_the_slices_and_offers_the_worst(make_run):
    run = make_run(n=200)
    app = opened("overview", run)
    assert not app.exception
    table = tables.table(run.name)
    found = selection_slices.find_slices(table)
    assert isinstance(found, list)
    measured = image_properties(run, "valid", table.predictions.ids)
    assert found == slices(table.predictions, cuts(measured)) and len(found) > 10
    marked = sum(one.stands_out for one in found)
    are = "are" if marked > 1 else "is"
    assert f"{marked or 'none'} of {len(found)} {are} significant" in captions(app)
    rows, most = weak_slices.rows(table, found[:8])
    assert [row["n"] for row in rows] == [str(one.n) for one in found[:8]]
    for row in rows:
        assert len(row["images"]) == 3 and all(src.startswith("data:") for src in row["images"])
        value, low, high, rest = row["at"]
        assert 0 <= low <= value <= high <= 100 and 0 <= rest <= 100
    assert float(most) > 0
    (drawn,) = (
        json.loads(each.proto.json) for each in app.get("bidi_component")
        if each.proto.component_name == "second_look_slice_table"
    )  # fmt: skip
    for one, row, shown in zip(found, rows, drawn["rows"], strict=False):
        where = {"true": one.true or "", "slice": selection_slices.slice_address(one)}
        assert shown.pop("address") == {"run": run.name, **ImageFilter(where=where).parameters()}
        row.pop("address")  # made here without a page, so without its run
    assert drawn == {"rows": rows, "most": most}


def test_a_slice_is_a_filter_of_errors_with_an_address(make_run):
    run = make_run(n=200)
    table = tables.table(run.name)
    found = selection_slices.find_slices(table)
    assert isinstance(found, list)
    one = next(s for s in found if s.true is not None)
    look = ImageFilter(where={"true": one.true or "", "slice": selection_slices.slice_address(one)})
    rows = selection_rows.rows(table, look)
    assert len(rows) == one.n
    wrong = table.y_pred[rows] != table.predictions.y_true[rows]
    assert wrong.sum() == one.errors
    assert table.loss[rows].mean() == pytest.approx(one.log_loss)
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in {"run": run.name, **look.parameters()}.items():
        app.query_params[name] = value
    at_page(app, "errors").run()
    assert not app.exception
    assert f"**{one.n}** of 200 validation images" in app.markdown[0].value
    app.button(key="clear").click().run()
    assert "**200** of 200 validation images" in app.markdown[0].value


@pytest.mark.parametrize("text", ["brightness:99", "colour:0"])
def test_an_unknown_slice_is_refused_in_one_sentence(make_run, text):
    run = make_run(n=60)
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params["run"], app.query_params["slice"] = run.name, text
    at_page(app, "errors").run()
    assert not app.exception
    assert "no slice" in app.error[0].value


@pytest.mark.parametrize("text", ["<b>", "a:b:c"])
def test_what_is_no_slice_is_passed_over(make_run, text):
    run = make_run(n=30)
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params["run"], app.query_params["slice"] = run.name, text
    at_page(app, "errors").run()
    assert not app.exception and not app.error
    assert "** of 30 validation images" in app.markdown[0].value


def test_a_cause_said_in_a_verdict_becomes_a_slice_at_once(make_run):
    run = make_run(n=100, distinct=50)
    table = tables.table(run.name)
    sums = tables.facts(table, np.arange(100))["sha256"].to_pylist()
    with pytest.raises(UserError, match="no slice"):
        selection_rows.rows(table, ImageFilter(where={"slice": "cause:scale"}))
    for sha256 in sorted({*sums})[:6]:
        save_verdict(Verdict(sha256, "hard", cause="scale"))
    for sha256 in sorted({*sums})[6:9]:
        save_verdict(Verdict(sha256, "hard", cause="viewpoint"))
    rows = selection_rows.rows(table, ImageFilter(where={"slice": "cause:scale"}))
    assert {sums[row] for row in rows} == set(sorted({*sums})[:6])
    found = selection_slices.find_slices(table)
    assert isinstance(found, list) and {s.name for s in found if s.trait == "cause"} >= {"scale"}
    before = selection_slices.stamp()
    save_verdict(Verdict(sorted({*sums})[9], "fine"))
    assert selection_slices.stamp() == before  # nothing is computed again


def test_many_images_are_measured_by_a_child_and_the_page_says_how_far(make_run, monkeypatch):
    run = make_run(n=60, distinct=60)
    monkeypatch.setattr(selection_slices, "_HERE_UP_TO", 10)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        monkeypatch.setattr(commands, "start_measuring", lambda run, split: child)
        table = tables.table(run.name)
        found = selection_slices.find_slices(table)
        assert found == Measuring(0, 60)
        with pytest.raises(UserError, match="being measured, 0 of 60"):
            selection_rows.rows(table, ImageFilter(where={"slice": "brightness:0"}))
        app = errors(run=run.name, show="all", sort="brightness")
        assert not app.exception and "measured, 0 of 60" in app.info[0].value
        app.button(key="clear").click().run()  # which leaves the order, too
        assert not app.info and "sort" not in app.query_params
        image_properties(run, "valid", table.predictions.ids)  # what the child does
        assert isinstance(selection_slices.find_slices(table), list)
    finally:
        child.communicate(b"\n")


def test_the_child_measures_images_without_a_label_too_and_is_waited_for(make_run):
    run = make_run(n=4, n_test=40)
    ids = run.predictions("test").ids
    child = commands.start_measuring(run, "test")
    assert child.wait(60) == 0
    assert not properties.unmeasured(properties.facts_of(run, "test", ids))


def test_without_images_the_slices_are_left_out(make_run):
    run = make_run(n=30, images=False)
    app = opened("overview", run)
    assert not app.exception
    assert "Weak slices" in [s.value for s in app.subheader]


def test_of_very_many_images_a_sample_is_sliced_and_the_page_says_so(make_run, monkeypatch):
    monkeypatch.setattr(properties, "MOST", 150)
    run = make_run(n=200, seed=7)
    app = opened("overview", run)
    assert not app.exception and "Measured on 150 randomly chosen images" in captions(app)
    table = tables.table(run.name)
    rows = properties.sample_rows(200)
    sample = table.predictions.take(rows)
    measured = image_properties(run, "valid", sample.ids)
    assert selection_slices.find_slices(table) == slices(sample, cuts(measured))
    inside = selection_slices.within(table, "brightness:0")
    assert 0 < inside.sum() <= 30 and not np.delete(inside, rows).any()
    assert selection_slices.slice_text(table, "brightness:0").endswith(
        "among 150 randomly chosen images"
    )
