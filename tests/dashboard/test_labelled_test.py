"""A labelled test set is scored on Overview and Errors, and never chooses bounds on Clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import UNKNOWN
from engine.runs.run import Run
from tests.support.pages import APP, html, opened, sentence


@pytest.fixture
def scored(make_run) -> Run:
    """Return a run whose 20 test images have labels, the first of them another than predicted."""
    run: Run = make_run(n=60, n_test=20)
    test = run.predictions("test")
    y = test.y_pred.copy()
    y[0] = 1 - y[0]
    save_predictions(run.predictions_path("test"), replace(test, y_true=y))
    return run


def test_overview_and_errors_offer_a_labelled_test_set(scored):
    app = opened("overview", scored)
    switch = app.segmented_control(key="split_picker")
    assert switch.options == ["Validation (60)", "Labelled test images (20)"]
    switch.set_value("test").run()
    assert not app.exception and app.query_params["on"] == "test"
    assert "95.00" in html(app).replace("&nbsp;", " ")  # 19 of 20 correct
    app.switch_page("views/errors/page.py").run()
    assert not app.exception
    assert app.query_params["on"] == "test"
    assert sentence(app) == "**1** of 20 test images: most confident first"


def test_clip_is_about_validation_images_even_then(scored):
    app = opened("errors", scored)
    app.segmented_control(key="split_picker").set_value("test").run()
    app.switch_page("views/clip/page.py").run()
    assert not app.exception and "on" not in app.query_params
    assert "split_picker" not in [control.key for control in app.segmented_control]


def test_an_unknown_split_in_the_address_is_said(make_run):
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params["run"], app.query_params["on"] = make_run(n=60).name, "zebra"
    app.run()
    (said,) = [each.value for each in app.warning if "zebra" in each.value]
    assert "valid, folds, test" in said
    assert not app.exception and "on" not in app.query_params


@pytest.mark.parametrize("labelled", [0, 19])
def test_without_all_labels_test_images_are_only_browsed(make_run, labelled):
    run = make_run(n=60, n_test=20)
    test = run.predictions("test")
    y = np.where(np.arange(20) < labelled, test.y_pred, UNKNOWN)
    save_predictions(run.predictions_path("test"), replace(test, y_true=y))
    app = opened("overview", run)
    assert "split_picker" not in [control.key for control in app.segmented_control]
    app = opened("errors", run)
    switch = app.segmented_control(key="split_picker")
    assert switch.options == ["Validation (60)", "Test images (20)"]
    switch.set_value("test").run()
    assert not app.exception
    (shown,) = [each.options for each in app.segmented_control if each.label == "Images"]
    if labelled:
        assert len(shown) == 8 and sentence(app).startswith("**0** of 20 test images")
        return
    assert shown == ["All 20", "Most uncertain 20", "Suspects", "Reviewed 0"]
    assert sentence(app) == "**20** of 20 test images: in order of id"
    app.selectbox(key="filter_sort").set_value("p").run()
    assert app.query_params["sort"] == "p" and "show" not in str(app.error)
    assert sentence(app) == "**20** of 20 test images: highest P&#40;dog&#41; first"
