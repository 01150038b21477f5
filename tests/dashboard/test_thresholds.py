"""The decision threshold on Overview: saved with the run, and what depends on it."""

from __future__ import annotations

import re

import numpy as np

from dashboard.shared import tables
from engine.runs.decision_threshold import load_threshold, save_threshold, threshold_path
from tests.support.pages import html, opened


def test_the_threshold_is_saved_and_changes_the_counts_alone(make_run):
    run = make_run(n=80, n_test=0)
    table = tables.table(run.name)
    app = opened("overview", run)
    log_loss = re.search(r"Log loss.*?(\d\.\d{4})", html(app), re.DOTALL)
    assert "at threshold" not in html(app)
    slider = next(each for each in app.slider if each.key.startswith("threshold"))
    assert slider.value == 0.5
    app = slider.set_value(0.2).run()
    assert load_threshold(run) == 0.2 and not app.exception

    positive, called = table.predictions.y_true == 1, table.score >= 0.2
    counts = {each.key: each.label for each in app.button if each.key.startswith("decided_")}
    for true in (0, 1):
        for decided in (0, 1):
            n = np.count_nonzero((positive == true) & (called == decided))
            assert counts[f"decided_{true}{decided}"].endswith(f"**{n}**")
    assert f"at threshold 0.2: {np.mean(positive == called):.2%}" in html(app)
    assert log_loss and log_loss[1] in html(app)

    app = next(each for each in app.button if each.key == "threshold_usual").click().run()
    assert load_threshold(run) is None and "at threshold" not in html(app)


def test_other_runs_and_damaged_files_have_none(make_run):
    run = make_run(n=30, n_test=0, classes=3)
    save_threshold(run, 0.3)
    app = opened("overview", run)
    assert not app.exception and not app.slider and "at threshold" not in html(app)
    for text in ("{", '{"threshold": 7}', '{"threshold": []}', '{"threshold": NaN}'):
        threshold_path(run).write_text(text)
        assert load_threshold(run) is None
