"""Training images of a run without folds: shown with their label, and never with a prediction."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.explanation.answers import answer
from dashboard.gallery.tiles import large_of, tiles_of
from dashboard.review import notes
from dashboard.selection import orders, rows, split
from dashboard.selection.image_filter import ImageFilter
from dashboard.selection.lasso import GRID, Lasso
from dashboard.selection.split import ANY_TEST, LABELLED_TEST, splits_of
from dashboard.shared import tables
from dashboard.shared.tables import Table
from dashboard.views.errors.images_csv import csv_of
from engine.data.properties import measure
from engine.runs.explanations import save_explanation
from engine.runs.maps import save_map
from engine.runs.run import Run
from engine.runs.verdicts import Verdict, save_verdict
from tests.support.explanations import explained
from tests.support.pages import assert_harmless, errors, opened, sentence


@pytest.fixture
def run(make_run) -> Run:
    """Return a run that lists 60 training images, two thirds of the first class."""
    run = make_run(n=60, n_test=0, distinct=60)
    images = run.images
    first, second = run.class_names
    train = images.assign(
        id=[f"train.{i:03}" for i in range(60)], split="train",
        label=[first if i % 3 else second for i in range(60)],
    )  # fmt: skip
    run.save_tables(pd.concat([train, images]), run.quarantine)
    return run


@pytest.fixture
def table(run: Run) -> Table:
    return tables.table(run.name, "train")


def listed(run: Run, label: str = "") -> list[str]:
    images = run.images.query("split == 'train'")
    return sorted(images[images["label"] == label]["id"] if label else images["id"])


def test_they_are_offered_where_no_prediction_is_held_out(run, make_run):
    assert splits_of(run.name, ANY_TEST) == ["valid", "test", "train"]
    assert "train" not in splits_of(run.name, LABELLED_TEST)
    assert splits_of(make_run(n=20, n_test=0, seed=1).name, ANY_TEST) == ["valid", "test"]


def test_they_are_shown_by_id_with_their_label_and_no_claim(run, table):
    app = errors(run=run.name, on="train")
    assert not app.exception and app.query_params["on"] == "train"
    assert "**60** of 60 training images: in order of id" in sentence(app)
    assert "no held-out prediction" in sentence(app)
    assert app.segmented_control(key="filter_show").options == ["All 60", "Suspects", "Reviewed 0"]
    assert not [box for box in app.selectbox if "predicted" in str(box.key)]
    assert not app.slider
    shown = rows.rows(table, ImageFilter())
    assert table.predictions.ids.take(shown).to_pylist() == listed(run)
    for tile in tiles_of(table, shown):
        assert tile["predicted"] == tile["loss"] == tile["true"] == ""
        assert (tile["pName"], tile["outcome"]) == ("label", "unlabelled")
        assert tile["src"].startswith("data:image/jpeg") and tile["p"] in run.class_names
    large = large_of(table, shown, 3)
    assert large["bars"] == [] and not large["explainable"] and "No held-out" in large["loss"]
    assert (large["before"], large["after"]) == ("train.002", "train.004")
    assert large["title"] == f"Training image, labelled {run.class_names[1]}"
    assert np.isnan(table.loss).all() and np.isnan(table.score).all() and max(table.y_pred) < 0


def test_they_are_sorted_by_what_needs_no_prediction(run, table):
    assert orders.orders_of(table) == [
        "", "id", "size", "size-up", "bytes", "bytes-up", "brightness", "brightness-up",
    ]  # fmt: skip
    facts = run.images.query("split == 'train'").sort_values("id")
    grey = [measure((run.data_root / path).read_bytes())[0] for path in facts["path"]]
    for name, keys in (("bytes", -facts["bytes"]), ("brightness-up", pd.Series(grey))):
        shown = rows.rows(table, ImageFilter(sort=name))
        assert shown.tolist() == np.argsort(keys.to_numpy(), kind="stable").tolist(), name


def test_a_class_a_page_and_an_image_are_in_the_address(run):
    first = run.class_names[0]
    app = errors(run=run.name, on="train", true=first)
    assert not app.exception and "**40** of 60 training images: " in sentence(app)
    assert app.button(key="without_true").label == f"true {first}"
    app = errors(run=run.name, on="train", page="2")
    assert app.session_state["filter_page"] == 2
    app = errors(run=run.name, on="train", picture=listed(run)[-1])
    assert not app.exception and app.session_state["filter_page"] == 2
    app = errors(run=run.name, on="train", picture="<b>none")
    assert not app.exception and "no image here has that id" in app.warning[0].value
    assert_harmless(app)


def test_what_needs_a_prediction_is_not_used_and_the_page_says_so(run):
    app = errors(run=run.name, on="train", predicted="cat", p="0.1-0.2", sort="loss",
                 show="most-uncertain")  # fmt: skip
    assert not app.exception and "**60** of 60 training images" in sentence(app)
    said = [warning.value for warning in app.warning]
    assert len(said) == 3 and "choose from id, size" in said[0]
    assert all("60 training images have no prediction here" in each for each in said[1:])


def test_a_text_a_class_and_an_order_are_chosen(run):
    second = run.class_names[1]
    app = errors(run=run.name, on="train", page="2")
    app.selectbox(key="filter_true").set_value(second).run()
    assert not app.exception and app.query_params["true"] == second
    assert "**20** of 60 training images" in sentence(app) and app.query_params["on"] == "train"
    app.text_input(key="filter_text").set_value("TRAIN.01").run()
    assert not app.exception and "**3** of 60" in sentence(app)  # 12, 15 and 18
    app.selectbox(key="filter_sort").set_value("bytes").run()
    assert "largest files first" in sentence(app)


def test_other_pages_lead_to_them(run, table):
    assert split.shown_as(run.name, "train.007") == "train"
    assert split.shown_as(run.name, "0000007") == split.shown_as(run.name, "none") == ""
    run.update_config(head_sha256="0" * 64)
    assert split.training_table(run.name).key == table.key  # type: ignore[union-attr]
    near = explained(run)
    near["neighbours"] = [
        {**fact, "label": "cat", "distance": 0.1}
        for fact in run.images[["split", "id", "path", "sha256"]].to_dict("records")[:1]
    ]
    save_explanation(run, near)
    shown = answer(tables.table(run.name), 0, near["id"])["neighbours"]
    assert [each["id"] for each in shown] == ["train.000"] and shown[0]["known"]

    images = run.images  # the map: an area, and a click
    points = np.column_stack([np.arange(120), np.arange(120)])
    for method in ("pca", "tsne"):
        save_map(run, method, images["split"].tolist(), images["id"].tolist(), points)
    app = opened("map", run)
    app.query_params["map"] = Lasso("pca", ((0, 0), (GRID, 0), (GRID, GRID), (0, GRID))).text
    app.run()
    app.button(key="map_train").click().run()
    assert not app.exception and app.query_params["on"] == "train"
    assert "**60** of 60 training images" in sentence(app)
    app = opened("map", run)
    app.session_state["map_point"] = images["id"].tolist().index("train.003")
    app.run()
    assert app.query_params["on"] == "train" and app.query_params["picture"] == "train.003"


def test_they_take_tags_and_verdicts_and_are_found_by_them(run, table):
    third = np.array([3])
    notes.change(table, third, lambda note: note.with_tag("blurred"))
    fact = tables.facts(table, third).to_pylist()[0]
    tile = tiles_of(table, third)[0]
    assert tile["tags"] == "blurred" and tile["verdict"] == ""
    app = errors(run=run.name, on="train", text="blurred")
    assert "**1** of 60 training images" in sentence(app)

    save_verdict(Verdict(fact["sha256"], "hard", given=fact["given"]))
    review: dict[str, Any] = large_of(table, third, 0)["review"]
    assert review["verdict"] == "hard"
    app = errors(run=run.name, on="train", show="verdicts")
    assert not app.exception and "**1** of 60 training images" in sentence(app)

    read = list(csv.DictReader(io.StringIO(csv_of(table, third).decode())))
    assert [(row["id"], row["split"], row["tags"]) for row in read] == [
        ("train.003", "train", "blurred")
    ]
    assert not [name for name in read[0] if name.startswith("p_") or name in ("predicted",)]
    assert "log_loss" not in read[0]
