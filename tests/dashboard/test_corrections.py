"""The switch between held-out and all labelled images; which correction can be trusted."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss
from streamlit.testing.v1 import AppTest

from engine.analysis.bounds import best_symmetric
from engine.analysis.recommendation import compare_corrections
from engine.analysis.shift import shifted_loss
from engine.runs.files import write_json
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import make_predictions
from engine.runs.run import Run
from tests.support.pages import APP, html, opened


@pytest.fixture
def folded(make_run) -> Run:
    """Return a run whose 60 valid images are among 180 predicted out of fold."""
    run: Run = make_run(n=60)
    valid, images = run.predictions("valid"), run.images
    rng = np.random.default_rng(1)
    y = np.concatenate([valid.y_true, rng.integers(0, 2, 120)])
    p = np.clip(np.where(y == 1, 0.97, 0.03) + rng.normal(0, 0.2, 180), 0.001, 0.999)
    ids = [*valid.ids.to_pylist(), *(f"t{i:06}" for i in range(120))]
    paths = valid.paths.to_pylist() * 3
    table = make_predictions(ids, paths, y, np.column_stack([1 - p, p]), valid.class_names)
    save_predictions(run.predictions_path("folds"), table)
    some = images[images["split"] == "valid"]
    for start in (60, 120):
        more = some.assign(split="train", id=ids[start : start + 60])
        images = pd.concat([images, more], ignore_index=True)
    run.save_tables(images, run.quarantine)
    return run


@pytest.mark.parametrize("page", ["overview", "errors", "clip"])
def test_all_labelled_images_are_shown_unless_the_address_says_held_out(page, folded):
    app = opened(page, folded)
    assert not app.exception
    assert "180" in html(app) + "".join(element.value for element in app.markdown)
    switch = app.segmented_control(key="split_picker")
    labelled = ["Validation (60)", "All labelled (cross-validated) (180)"]
    assert switch.options == labelled + ["Test images (20)"] * (page == "errors")
    switch.set_value("valid").run()
    assert not app.exception and app.query_params["on"] == "valid"
    shown = html(app) + "".join(element.value for element in app.markdown)
    assert re.search(r"\b60\b", shown) and "180 labelled" not in shown and "of 180" not in shown
    app.segmented_control(key="split_picker").set_value("folds").run()
    assert "on" not in app.query_params


def test_a_link_to_held_out_images_and_a_run_without_folds(folded, make_run):
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params["run"], app.query_params["on"] = folded.name, "valid"
    app.run().switch_page("views/errors/page.py").run()
    assert "60" in "".join(element.value for element in app.markdown)
    app.selectbox(key="filter_true").set_value("cat").run()
    assert app.query_params["on"] == "valid" and app.query_params["true"] == "cat"
    plain = opened("clip", make_run(n=30, seed=2))
    assert "on_which" not in [control.key for control in plain.segmented_control]


def test_the_slider_moves_the_suggestion_and_says_what_it_costs(make_run):
    run = make_run(n=300, wrong=0.02)
    app = opened("clip", run)
    table = run.predictions("valid")
    app.slider(key="clip_shift").set_value(1.0).run()
    harder = shifted_loss(table.y_true, table.probabilities, 1.0)
    bound, expected = best_symmetric(harder)
    assert f"expected log loss is <b>{expected:.5f}</b> at the suggested {bound:.3g}" in html(app)
    (suggested,) = [b for b in app.button if b.label.startswith("For this drop")]
    suggested.click().run()
    assert run.bounds[0] == pytest.approx(bound, rel=5e-3)
    app.slider(key="clip_shift").set_value(0.0).run()
    assert "If test accuracy drops" not in html(app)


def test_the_slider_begins_where_the_scores_of_submissions_say(make_run):
    run = make_run(n=300, wrong=0.02)
    table = run.predictions("valid")
    score = shifted_loss(table.y_true, table.probabilities, 0.5).at(0.025, 0.975)
    record = {"lower": 0.025, "upper": 0.975, "kaggle": {"score": score}}
    write_json(run.folder / "submissions" / "20260301T120000Z.json", record)
    app = opened("clip", run)
    assert app.slider(key="clip_shift").value == pytest.approx(0.5)
    assert any("a drop in accuracy of 0.5 points" in caption.value for caption in app.caption)


def test_the_recommendation_and_its_table_are_those_of_the_analysis(make_run):
    run = make_run(n=200)
    app = opened("clip", run)
    table = run.predictions("valid")
    compared = compare_corrections(table.y_true, table.probabilities)
    shown = html(app)
    assert compared.sentence.split(";")[0] in shown
    raw = log_loss(table.y_true, table.probabilities)
    assert f"<td>{raw:.5f}</td>" in shown
    assert shown.count("<small>recommended</small>") == 1
    (use,) = [b for b in app.button if b.label == "Use the recommended correction"]
    assert use.disabled  # it applies already
    run.set_bounds(0.2, 0.8)
    app = opened("clip", run)
    assert "bounds set here: 0.2 and 0.8" in "".join(c.value for c in app.caption)
    (use,) = [b for b in app.button if b.label == "Use the recommended correction"]
    use.click().run()
    assert run.kept_bounds is None
