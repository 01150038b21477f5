"""The Compare page: figures, galleries, the blend, and what cannot be compared."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.tables import RunSummary
from dashboard.views.compare import data as compare_data
from dashboard.views.compare.text import names_of, significance
from engine.analysis.compare import compare
from engine.competition.blend import prepare_blend
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import make_predictions
from engine.runs.run import Run
from engine.runs.run_list import list_runs
from tests.support.pages import APP, assert_harmless, at_page, html


def opened(run: Run | None = None, **parameters: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    if run is not None:
        app.query_params["run"] = run.name
    for name, value in parameters.items():
        app.query_params[name] = value
    at_page(app, "compare")
    return app.run()


def words(app: AppTest) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html(app), flags=re.S).split())


@pytest.fixture
def pair(make_run):
    """Two runs on the same images: the second errs on other images than the first."""
    first = make_run(n=120, seed=1, wrong=0.3, name="first")
    second = make_run(n=120, seed=1, wrong=0.1, name="second", age=timedelta(days=1))
    table = second.predictions()
    p = table.probabilities.copy()
    right = np.flatnonzero(first.predictions().y_pred == table.y_true)[:3]
    p[right] = p[right, ::-1]  # what it breaks
    broken = make_predictions(table.ids, table.paths, table.y_true, p, table.class_names)
    save_predictions(second.predictions_path("valid"), broken)
    return first, second


def test_the_figures_are_those_of_the_comparison(pair):
    first, second = pair
    found = compare(first.predictions(), second.predictions())
    app = opened(first, **{"with": second.name})
    assert not app.exception
    said = words(app)
    for value in (*found.log_loss, abs(found.log_loss_difference[0])):
        assert f"{value:.4f}" in said
    assert "second is better" in said
    for rows, word in (
        (found.both_right, "Both correct"), (found.fixed, "Fixed: only first is correct"),
        (found.broken, "Broken: only second is correct"),
        (found.both_wrong, "Both incorrect"),
    ):  # fmt: skip
        assert f"**{len(rows)}** {word}" in [unescape(button.label) for button in app.button]
    assert f"kappa {found.kappa:.3f}" in said
    for p, shown in ((0.0, "p &lt; 0.0001"), (0.0321, "p = 0.0321")):
        assert shown in significance(replace(found, mcnemar_p=p), ("first", "second"))
    assert (
        "second" in app.selectbox(key="compare_with").value or app.selectbox[1].value == second.name
    )


@pytest.mark.parametrize("part", ["fixed", "broken", "both-wrong", "both-right"])
def test_a_gallery_shows_its_images_the_costliest_first(pair, part):
    first, second = pair
    if part == "fixed":
        app = opened(first, pictures=part, **{"with": second.name})
        assert not app.exception and app.segmented_control[0].value == part
    rows = compare_data.compared(first.name, second.name).parts[part]
    tables = first.predictions(), second.predictions()
    right = [t.y_pred == t.y_true for t in tables]
    wanted = {
        "fixed": right[0] & ~right[1], "broken": ~right[0] & right[1],
        "both-wrong": ~right[0] & ~right[1], "both-right": right[0] & right[1],
    }[part]  # fmt: skip
    assert sorted(rows) == np.flatnonzero(wanted).tolist() and len(rows)
    payer = tables[1 if part == "fixed" else 0]
    costs = -np.log(payer.probabilities[rows, payer.y_true[rows]])
    assert (np.diff(costs) <= 1e-12).all()


def test_runs_are_named_by_what_tells_them_apart():
    first = RunSummary(
        "20260101T000000Z-a-1", "20260101T000000Z-a-1", "", "net a", "done", 0.9, 0.1
    )
    other = replace(first, name="20260102T000000Z-a-2", title="20260102T000000Z-a-2")
    assert names_of(first, replace(other, backbone="net b")) == ("net a", "net b")
    assert names_of(replace(first, title="best"), replace(other, backbone="net b"))[0] == "best"
    assert names_of(first, replace(other, title="best")) == ("net a", "best")
    assert names_of(first, replace(other, title="net a")) == (first.name, other.name)
    assert names_of(first, other) == (first.name, other.name)


def test_a_cell_of_the_table_shows_its_images(pair):
    first, second = pair
    app = opened(first, **{"with": second.name})
    app.button(key="four_both-wrong").click().run()
    assert not app.exception and app.query_params["pictures"] == "both-wrong"
    assert app.query_params["with"] == second.name
    (shown,) = [each.value for each in app.segmented_control if each.label == "Images"]
    assert shown == "both-wrong"


def test_pages_and_an_image_are_in_the_address(pair):
    first, second = pair
    app = opened(first, pictures="both-right", page="2", **{"with": second.name})
    assert app.session_state["compare_page"] == 2
    rows = compare_data.compared(first.name, second.name).parts["both-right"]
    last = first.predictions().ids[int(rows[-1])].as_py()
    app = opened(first, pictures="both-right", picture=last)
    assert not app.exception and app.session_state["compare_page"] == 4
    app = opened(first, pictures="all", page="-3", picture="<b>")
    assert not app.exception and app.session_state["compare_page"] == 1


def test_the_blend_is_shown_before_it_is_kept_and_then_opened(pair):
    first, second = pair
    app = opened(first, **{"with": second.name})
    found = prepare_blend([first, second]).found
    said = words(app)
    assert f"{found.cross_validated:.4f}" in said and f"{found.weights[0]:.0%} of first" in said
    assert len(list_runs()) == 2
    app.text_input(key="blend_name").set_value("<b>both</b>")
    next(b for b in app.button if b.label == "Blend these two").click().run()
    assert not app.exception
    made = [run for run in list_runs() if run.config.backbone == "blend"]
    assert [run.config.name for run in made] == ["<b>both</b>"]
    assert app.query_params["run"] in (made[0].name, [made[0].name])


def test_a_gain_within_the_noise_is_said_to_be(make_run):
    first = make_run(n=60, seed=1, name="a")
    second = make_run(n=60, seed=1, name="b")  # the same probabilities
    said = words(opened(first, **{"with": second.name}))
    assert "No difference: both runs have the same log loss" in said
    assert "blending does not help." in said or "No clear difference" in said


def test_alone_or_without_a_run_there_is_one_instruction(make_run, home):
    app = opened()
    assert "There is no finished run yet." in app.markdown[0].value
    run = make_run(n=30)
    (only,) = [m.value for m in opened(run).markdown]
    assert only.startswith("This is your only run. Compare says which of two models is better")
    make_run(n=30, classes=3, seed=2)
    app = opened(run)
    assert not app.exception
    (said,) = [m.value for m in app.markdown]
    assert said.startswith("No other run has the same classes. Compare says")
    assert [button.key for button in app.button] == ["manage"]  # beside the picker


def test_runs_without_a_common_image_are_refused_in_one_sentence(make_run):
    first, second = make_run(n=30, seed=1), make_run(n=0, seed=1)
    app = opened(first, **{"with": second.name})
    assert not app.exception
    assert "no labelled image" in app.error[0].value


def test_hostile_names_stay_text(make_run):
    first = make_run(n=60, seed=1, hostile=True)
    second = make_run(n=60, seed=1, hostile=True, wrong=0.3)
    app = opened(first, pictures="broken", **{"with": second.name})
    assert not app.exception
    assert_harmless(app)
