from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss
from streamlit.testing.v1 import AppTest

from dashboard.views.clip.text import short
from engine.analysis.bounds import bootstrap_best_symmetric
from engine.analysis.recommendation import compare_corrections
from engine.runs.run import Run
from tests.support import pages
from tests.support.pages import html


def opened(run: Run | None = None) -> AppTest:
    return pages.opened("clip", run)


def figure(app: AppTest, name: str) -> float:
    found = re.search(rf'data-testid="loss-{name}">([0-9.]+)<', html(app))
    assert found
    return float(found[1])


def clipped_loss(run: Run, lower: float, upper: float) -> float:
    """Return scikit-learn's log loss of the clipped probabilities of two classes."""
    predictions = run.predictions("valid")
    p = np.clip(predictions.probabilities[:, 1], lower, upper)
    return float(log_loss(predictions.y_true, np.stack([1 - p, p], axis=1)))


def test_the_log_loss_before_and_after_is_that_of_scikit_learn(make_run) -> None:
    run = make_run(n=200)
    run.set_bounds(0.025, 0.975)
    app = opened(run)
    assert not app.exception
    assert figure(app, "before") == pytest.approx(clipped_loss(run, 0, 1), abs=6e-6)
    assert figure(app, "after") == pytest.approx(clipped_loss(run, 0.025, 0.975), abs=6e-6)
    app.number_input(key="clip_lower").set_value(0.1).run()
    assert app.number_input(key="clip_upper").value == 0.9  # linked
    assert figure(app, "after") == pytest.approx(clipped_loss(run, 0.1, 0.9), abs=6e-6)
    assert run.bounds == (0.1, 0.9)


def test_separate_bounds_and_bounds_that_cross(make_run) -> None:
    run = make_run(n=200)
    run.set_bounds(0.025, 0.975)
    app = opened(run)
    app.toggle(key="clip_linked").set_value(False).run()
    app.number_input(key="clip_lower").set_value(0.2).run()
    assert run.bounds == (0.2, 0.975)
    app.number_input(key="clip_upper").set_value(0.1).run()
    assert run.bounds == (0.2, 0.975)
    assert "smaller" in app.warning[0].value
    assert app.number_input(key="clip_upper").value == 0.975
    app.toggle(key="clip_linked").set_value(True).run()
    assert run.bounds == (0.2, 0.8)


def test_bounds_start_at_the_recommendation_and_presets_are_one_click(make_run) -> None:
    run = make_run(n=400, wrong=0.02)
    table = run.predictions("valid")
    chosen = compare_corrections(table.y_true, table.probabilities).chosen
    app = opened(run)
    assert app.number_input(key="clip_lower").value == pytest.approx(chosen.lower, abs=1e-9)
    assert run.kept_bounds is None  # looking sets nothing
    next(b for b in app.button if b.label.startswith("Often used")).click().run()
    assert run.kept_bounds == (0.025, 0.975)
    next(b for b in app.button if b.label == "No clipping").click().run()
    assert run.bounds == (0.0, 1.0) and figure(app, "after") == figure(app, "before")


def test_counts_of_touched_predictions(make_run) -> None:
    run = make_run(n=300, n_test=90)
    run.set_bounds(0.025, 0.975)
    app = opened(run)
    for split, n in (("valid", 300), ("test", 90)):
        p = run.predictions(split).probabilities[:, 1]
        for count in ((p < 0.025).sum(), (p > 0.975).sum()):
            assert f"<td>{count:,} <small>{count / n:.1%}</small></td>" in html(app)


def test_the_cost_of_a_confidently_wrong_image(make_run) -> None:
    run = make_run(n_test=30)
    run.set_bounds(0.025, 0.975)
    one = -np.log(0.025) / 30
    said = html(opened(run))
    assert f"+{one:.5f}" in said and f"+{10 * one:.5f}" in said
    assert "The recommendation already counts how many such errors to expect." in said
    table = run.predictions()
    p = np.clip(table.probabilities[np.arange(len(table)), table.y_true], 0.025, 0.975)
    loss = -np.log(p).mean()
    assert one < loss < 5 * one  # so that ten errors are said as a multiple
    assert f">{one / loss:.1%}</td>" in said and f">{10 * one / loss:.1f} times</td>" in said


def test_the_page_says_which_bounds_are_as_good_as_the_best(make_run) -> None:
    run = make_run(n=60, wrong=0.2)
    table = run.predictions("valid")
    low, high = bootstrap_best_symmetric(table.y_true, table.probabilities).interval
    said = html(opened(run))
    assert f"Bounds from <b>{short(low):g}</b> to <b>{short(high):g}</b> are as good" in said


def test_bounds_belong_to_the_run(make_run) -> None:
    first, second = make_run(seed=1), make_run(seed=2)
    first.set_bounds(0.01, 0.9)
    second.set_bounds(0.025, 0.975)
    app = opened(first)
    assert app.number_input(key="clip_lower").value == 0.01
    assert app.toggle(key="clip_linked").value is False
    app.selectbox(key="run_picker").set_value(second.name).run()
    assert app.number_input(key="clip_lower").value == 0.025
    assert app.toggle(key="clip_linked").value is True


@pytest.mark.parametrize("classes", [5, 120])
def test_many_classes(make_run, classes: int) -> None:
    run = make_run(n=150, classes=classes, images=False)
    app = opened(run)
    assert not app.exception
    app.number_input(key="clip_lower").set_value(0.001).run()
    p = np.clip(run.predictions("valid").probabilities, 0.001, 0.999)
    y_true = run.predictions("valid").y_true
    after = -np.log((p / p.sum(axis=1, keepdims=True))[np.arange(150), y_true]).mean()
    assert figure(app, "after") == pytest.approx(after, abs=6e-6)
    assert not any(b.label.startswith("Best separate") for b in app.button)


def test_nothing_there(home: Path) -> None:
    app = opened()
    assert not app.exception and "no finished run" in app.markdown[0].value


def test_without_test_images(make_run) -> None:
    app = opened(make_run(n_test=0))
    assert not app.exception and "validation images" in html(app)


def test_hostile_names_are_text(make_run) -> None:
    app = opened(make_run(hostile=True, classes=9, quarantined=9))
    assert not app.exception
    for text in [html(app), *(m.value for m in app.markdown), *(c.value for c in app.caption)]:
        assert "<script" not in text and "<img" not in text and "](http" not in text
