"""Training images of a run without folds: shown with their label, and never with a prediction."""

from __future__ import annotations

import pandas as pd
import pytest

from dashboard.selection.split import ANY_TEST, LABELLED_TEST, splits_of
from dashboard.shared.stamps import stamp_of
from dashboard.views.errors import training
from engine.runs.run import Run
from tests.support.pages import assert_harmless, errors, sentence


@pytest.fixture
def run(make_run) -> Run:
    """Return a run that lists 60 training images, two thirds of the first class."""
    run = make_run(n=60, n_test=0)
    images = run.images
    first, second = run.class_names
    train = images.assign(
        id=[f"train.{i:03}" for i in range(60)], split="train",
        label=[first if i % 3 else second for i in range(60)],
    )  # fmt: skip
    run.save_tables(pd.concat([train, images]), run.quarantine)
    return run


def listed(run: Run, label: str = "") -> list[str]:
    images = run.images.query("split == 'train'")
    return sorted(images[images["label"] == label]["id"] if label else images["id"])


def test_they_are_offered_where_no_prediction_is_held_out(run, make_run):
    assert splits_of(run.name, ANY_TEST) == ["valid", "test", "train"]
    assert "train" not in splits_of(run.name, LABELLED_TEST)
    assert splits_of(make_run(n=20, n_test=0, seed=1).name, ANY_TEST) == ["valid", "test"]


def test_they_are_shown_by_id_with_their_label_and_no_claim(run):
    app = errors(run=run.name, on="train")
    assert not app.exception and app.query_params["on"] == "train"
    assert "**60** training images: in order of id" in sentence(app)
    assert "no held-out prediction" in sentence(app)
    table = training.images(run.name, stamp_of(run.folder / "images.parquet"))
    assert table["id"].to_pylist() == listed(run)
    for tile in training.tiles(run.name, table):
        assert tile["predicted"] == tile["loss"] == tile["true"] == ""
        assert (tile["pName"], tile["outcome"]) == ("label", "unlabelled")
        assert tile["src"].startswith("data:image/jpeg") and tile["p"] in run.class_names
    shown = training.large(run.name, table, 3)
    assert shown["bars"] == [] and shown["review"] is None and "No held-out" in shown["loss"]
    assert (shown["before"], shown["after"]) == ("train.002", "train.004")
    assert shown["title"] == f"Training image, labelled {run.class_names[1]}"


def test_a_class_a_page_and_an_image_are_in_the_address(run):
    first = run.class_names[0]
    app = errors(run=run.name, on="train", true=first)
    assert not app.exception and f"**40** training images of {first}" in sentence(app)
    app = errors(run=run.name, on="train", page="2")
    assert app.session_state["filter_page"] == 2
    app = errors(run=run.name, on="train", picture=listed(run)[-1])
    assert not app.exception and app.session_state["filter_page"] == 2
    app = errors(run=run.name, on="train", picture="<b>none", score="0.1-0.2")
    assert not app.exception and "no image here has that id" in app.warning[0].value
    assert_harmless(app)


def test_another_class_is_chosen(run):
    second = run.class_names[1]
    app = errors(run=run.name, on="train", page="2")
    app.selectbox(key="training_class").set_value(second).run()
    assert not app.exception and app.query_params["true"] == second
    assert "**20** training images" in sentence(app) and app.query_params["on"] == "train"


def test_a_text_is_searched_in_name_and_class(run):
    app = errors(run=run.name, on="train")
    app.text_input(key="training_search").set_value("TRAIN.01").run()
    assert not app.exception and app.query_params["text"] == "TRAIN.01"
    assert "**10** training images with “TRAIN&#46;01”" in sentence(app)
    app = errors(run=run.name, on="train", text=f"train.01 {run.class_names[1]}")
    assert "**3** training images" in sentence(app)  # 12, 15 and 18
    app = errors(run=run.name, on="train", text="nothing")
    assert not app.exception and "No image passes" in app.info[0].value
