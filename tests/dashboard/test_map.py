"""The Map page: what it shows for which run and address, and which images an area holds."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.selection import lasso
from dashboard.selection import rows as selection_rows
from dashboard.selection.image_filter import ImageFilter
from dashboard.selection.lasso import EDGE, GRID, Lasso, lasso_of, read_lasso
from dashboard.selection.map_coordinates import map_coordinates
from dashboard.shared import commands, tables
from dashboard.views.map import data as map_data
from engine.runs import maps
from engine.runs.maps import save_map
from engine.runs.prediction_files import save_predictions
from engine.runs.run import Run
from tests.support.pages import assert_harmless, opened
from tests.support.polygons import turns

CORNER = st.tuples(st.integers(0, GRID), st.integers(0, GRID))


def mapped(run: Run, method: str = "pca", seed: int = 0) -> Run:
    """Give a made-up run a map and the look of a fitted one."""
    images = run.images
    points = np.random.default_rng(seed).normal(size=(len(images), 2)) * [3, 1]
    save_map(run, method, images["split"].tolist(), images["id"].tolist(), points)
    run.update_config(head_sha256="0" * 64)
    return run


@pytest.fixture
def no_process(monkeypatch):
    """Note the maps that are started instead of starting them."""
    started: list[str] = []
    monkeypatch.setattr(commands, "start_map", lambda run, method: started.append(method))
    return started


def test_pca_is_shown_at_once_and_tsne_is_started(make_run, no_process):
    mapped(make_run(n=60))
    app = opened("map")
    assert not app.exception and not app.error
    assert app.get("bidi_component") or "directions" in app.caption[0].value
    assert no_process == ["tsne"]
    assert any("t-SNE is being computed" in each.value for each in app.caption)


def test_tsne_is_shown_by_choice_once_it_is_there(make_run, no_process):
    run = mapped(mapped(make_run(n=60)), "tsne", seed=1)
    app = opened("map", run)
    assert no_process == []
    assert "directions" in app.caption[0].value
    app.query_params["by"] = "tsne"
    app.run()
    assert "Neighbouring points are similar" in app.caption[0].value


def test_a_run_that_has_no_map_yet_makes_one(make_run, no_process):
    run = make_run(n=30)
    run.update_config(head_sha256="0" * 64)
    app = opened("map", run)
    assert not app.exception
    assert no_process == ["pca"]
    assert any("Computing the map" in each.value for each in app.caption)


def test_a_map_that_failed_says_why_and_can_be_tried_again(make_run, no_process):
    run = mapped(make_run(n=30))
    (run.folder / "map-tsne.json").write_text('{"message": "<b>no</b> memory ![x](http://e.x)"}')
    app = opened("map", run)
    assert "could not be made" in app.warning[0].value and "<b>" not in app.warning[0].value
    next(b for b in app.button if b.label == "Try again").click().run()
    assert no_process == ["tsne"]


def test_an_imported_run_and_no_run_say_what_to_do(home, make_run):
    app = opened("map")
    assert "no finished run yet" in app.markdown[0].value
    make_run(n=20)
    app = opened("map")
    assert "imported" in app.info[0].value and not app.exception


def test_an_area_is_its_images_here_and_in_errors(make_run, no_process):
    run = mapped(make_run(n=200, n_test=50))
    area = Lasso("pca", ((1200, 1500), (3000, 1400), (2600, 2700), (1900, 2100)))
    found = map_coordinates(run.name, "pca")
    around = np.array([turns(point, np.array(area.corners)) for point in found.xy])
    hit = (np.abs(around) > 0.5) & (found.split == 1)
    want = {found.ids[int(row)].as_py() for row in np.flatnonzero(hit)}
    assert 5 < len(want) < 195
    table = tables.table(run.name)
    rows = selection_rows.rows(table, ImageFilter(where={"map": area.text}))
    assert {table.predictions.ids[int(row)].as_py() for row in rows} == want
    assert (np.diff(table.loss[rows]) <= 0).all()

    app = opened("map", run)
    app.query_params["map"] = area.text
    app.run()
    assert any(f"**{len(want)}** of 200 images" in each.value for each in app.markdown)
    errors = opened("errors", run)
    errors.query_params["map"] = area.text
    errors.run()
    assert any(each.value.startswith(f"**{len(want)}** of 200") for each in errors.markdown)
    errors.button(key="without_map").click().run()
    assert "map" not in errors.query_params


def test_what_is_drawn_is_what_the_run_says(make_run):
    run = mapped(make_run(n=80, n_test=20, classes=3, hostile=True))
    packed = map_data.points(run.name, "pca").packed
    predictions, images = run.predictions(), run.images
    ids = packed["ids"].split("\x1f")
    assert ids == images["id"].tolist()
    label = np.frombuffer(base64.b64decode(packed["label"]), "<u2")
    predicted = np.frombuffer(base64.b64decode(packed["predicted"]), "<u2")
    loss = np.frombuffer(base64.b64decode(packed["loss"]), "<f4")
    at = {(s, i): row for row, (s, i) in enumerate(zip(images["split"], ids, strict=True))}
    rows = [at["valid", name] for name in predictions.ids.to_pylist()]
    np.testing.assert_array_equal(label[rows], predictions.y_true)
    np.testing.assert_array_equal(predicted[rows], predictions.y_pred)
    np.testing.assert_allclose(loss[rows], tables.table(run.name).loss, rtol=1e-6)
    tests = images["split"] == "test"
    assert (label[tests] == map_data.NONE).all() and np.isnan(loss[tests]).all()
    assert (predicted[tests] < 3).all()
    xy = np.frombuffer(base64.b64decode(packed["xy"]), "<u2").reshape(-1, 2)
    assert xy[:, 0].min() == EDGE and xy[:, 0].max() == GRID - EDGE  # the longer side


def test_hostile_names_stay_text(make_run, no_process):
    run = mapped(make_run(n=60, classes=3, hostile=True))
    app = opened("map", run)
    assert not app.exception
    assert_harmless(app)


ABSURD = ["pca.", "pca.zzzzzz", "tsne." + "0" * 12, "pca." + "fff000" * 41, "../x", "pca.<b>"]


@pytest.mark.parametrize("page", ["map", "errors"])
def test_an_absurd_area_is_none(make_run, no_process, page):
    assert [read_lasso(address) for address in ABSURD] == [None] * len(ABSURD)
    app = opened(page, mapped(make_run(n=30)))
    app.query_params["map"] = "tsne.../../<script>"
    app.query_params["by"] = "<script>"
    app.run()
    assert not app.exception and not app.error


def test_an_area_of_a_map_that_is_not_there_is_refused_in_a_sentence(make_run, no_process):
    run = mapped(make_run(n=30))
    app = opened("errors", run)
    app.query_params["map"] = Lasso("tsne", ((0, 0), (9, 0), (9, 9))).text
    app.run()
    assert not app.exception and "does not exist" in app.error[0].value


@given(st.lists(CORNER, min_size=3, max_size=lasso.MOST_CORNERS), st.sampled_from(maps.METHODS))
def test_an_area_survives_the_address(corners, method):
    area = Lasso(method, tuple(corners))
    assert read_lasso(area.text) == area
    assert lasso_of(method, [list(corner) for corner in corners]) == area


@pytest.mark.parametrize(
    "sent",
    [None, 3, "abc", [], [[0, 0]] * 2, [[0, 0]] * 41, [[0]] * 3, [["a", 1]] * 3, [[1e99, 0]] * 3],
)
def test_nonsense_from_a_browser_is_no_area(sent):
    assert lasso_of("pca", sent) is None


def test_corners_outside_are_drawn_in():
    assert lasso_of("pca", [[-5, 9.6], [9000, 2], [1, 1]]).corners == ((0, 10), (GRID, 2), (1, 1))


def test_a_click_opens_any_image(make_run, no_process):
    run = mapped(make_run(n=40, n_test=10))
    kept = run.predictions().take(np.arange(1, 40))  # the first image has no prediction
    save_predictions(run.predictions_path("valid"), kept)
    drawn = map_data.points(run.name, "pca")
    ids = drawn.coordinates.ids.to_pylist()
    app = opened("map", run)
    app.session_state["map_point"] = ids.index("0000000")
    app.run()
    assert not app.exception and not app.toast
    alone = map_data.large_of(run.name, drawn, ids.index("0000000"))
    assert alone["src"].startswith("data:image/") and alone["title"].startswith("Valid image, labe")
    for id, split in (("0000007", None), ("3", "test")):
        app = opened("map", run)
        app.session_state["map_point"] = ids.index(id)
        app.run()
        assert not app.exception
        assert app.query_params["picture"] == id and app.query_params.get("on") == split


def test_of_very_many_images_a_sample_is_drawn_and_the_page_says_so(
    make_run, no_process, monkeypatch
):
    monkeypatch.setattr(map_data, "DRAWN", 40)
    run = mapped(make_run(n=60, n_test=0, seed=5))
    drawn = map_data.points(run.name, "pca")
    assert len(drawn.label) == drawn.packed["n"] == 40 and drawn.total == 60
    at = {name: row for row, name in enumerate(run.predictions().ids.to_pylist())}
    rows = [at[name] for name in drawn.packed["ids"].split("\x1f")]
    assert rows == sorted({*rows})
    np.testing.assert_allclose(drawn.loss, tables.table(run.name).loss[rows], rtol=1e-6)
    app = opened("map", run)
    assert any("random sample of 40 of 60 images" in each.value for each in app.caption)
