"""The Overview page: full, empty, with many classes, with images set aside."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared import commands, tables
from dashboard.views.overview import data
from dashboard.views.overview.classes import class_table
from engine.analysis.metrics import confusion_matrix
from engine.analysis.next_steps import labels_step
from engine.runs import side_result
from engine.runs.fit_options import FitOptions
from engine.runs.next_steps import NextStep, NextSteps, next_steps_of, save_next_steps
from engine.runs.precision_check import PrecisionCheck
from engine.runs.prediction_files import save_predictions
from engine.runs.run import Run
from engine.runs.run_results import FoldsSummary
from engine.runs.triage import COLUMNS, load_triage, save_triage
from engine.runs.verdicts import Verdict, Verdicts, save_verdict, undo_verdict
from tests.support.pages import at_page

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"


def overview(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in parameters.items():
        app.query_params[name] = value
    at_page(app, "overview")
    return app.run()


def page_text(app: AppTest) -> str:
    return "\n".join(
        str(element.value) for element in (*app.markdown, *app.subheader, *app.caption)
    )


def figures(app: AppTest) -> dict[str, str]:
    html = " ".join(element.proto.body for element in app.get("html"))
    return dict(re.findall(r"<span>([^<]+)</span><strong>([^<]+)</strong>", html))


def test_the_figures_are_those_of_the_run(make_run):
    run = make_run(n=200, quarantined=3)
    app = overview()
    assert not app.exception
    shown = figures(app)
    assert shown["Accuracy"] == f"{run.config.scores.accuracy:.2%}"
    assert shown["Log loss"] == f"{run.config.scores.log_loss:.4f}"
    predictions = run.predictions()
    matrix = confusion_matrix(predictions.y_true, predictions.y_pred, 2)
    assert shown["Incorrect"] == str(matrix.sum() - matrix.trace())
    assert shown["Unreadable files"] == "3"
    assert "Concentration of the log loss" in page_text(app)
    assert app.expander[0].label == "3 unreadable files, with reasons"
    assert list(app.expander[0].dataframe[0].value["path"]) == list(run.quarantine["path"])


def test_cells_and_highest_loss_images_name_their_addresses(make_run):
    run = make_run(n=60)
    drawn = {
        each.proto.component_name: json.loads(each.proto.mixed.json or each.proto.json)
        for each in overview().get("bidi_component")
    }
    assert drawn["second_look_matrix"]["address"] == {"run": run.name}
    tiles = drawn["second_look_gallery"]["tiles"]
    assert tiles and all(
        tile["address"] == {"run": run.name, "picture": tile["id"]} for tile in tiles
    )


def test_without_a_run_there_is_one_instruction_and_one_button(home):
    app = overview()
    assert not app.exception
    assert [button.label for button in app.button] == ["Start the demo", "Use my images"]
    assert "No finished run yet" in page_text(app)
    assert not app.selectbox


@pytest.mark.parametrize("classes", [5, 120])
def test_with_many_classes_the_pairs_are_listed(make_run, classes):
    run = make_run(n=400, classes=classes)
    app = overview()
    assert not app.exception
    table = app.dataframe[0].value
    predictions = run.predictions()
    matrix = confusion_matrix(predictions.y_true, predictions.y_pred, classes)
    matrix[range(classes), range(classes)] = 0
    assert table["Images"].iloc[0] == matrix.max()
    names = run.class_names
    for row in table.itertuples(index=False):
        assert matrix[names.index(row[0]), names.index(row[1])] == row[2]


def test_a_run_without_validation_images_says_so(make_run):
    make_run(n=0, quarantined=1)
    app = overview()
    assert not app.exception
    assert "no validation images" in app.info[0].value
    assert app.expander[0].label.startswith("1 unreadable file,")


def test_the_address_names_the_run_and_an_unknown_one_is_said(make_run):
    old, new = make_run(n=30, seed=1, age=timedelta(days=1)), make_run(n=30, seed=2)
    assert overview(run=old.name).query_params["run"] in (old.name, [old.name])
    assert figures(overview(run=old.name))["Log loss"] == f"{old.config.scores.log_loss:.4f}"
    running = make_run(n=30, seed=3, state="failed")
    for name, said in (("../../etc", "is not in this workspace"), (running.name, "is failed")):
        app = overview(run=name)
        assert said in app.warning[0].value and not figures(app) and not app.selectbox
        app.button(key="unknown_run").click().run()
        assert figures(app)["Log loss"] == f"{new.config.scores.log_loss:.4f}"


def test_the_run_picker_shows_the_scores_of_the_page(make_run):
    run = make_run(n=200)
    assert run.config.scores
    valid = f"accuracy {run.config.scores.accuracy:.2%}"
    (line, *_) = overview().selectbox[0].options
    assert valid in line and " · validation · " in line
    first = run.predictions().take(np.arange(150))
    save_predictions(run.predictions_path("folds"), first)
    right = float((first.y_pred == first.y_true).mean())
    run.update_config(out_of_fold=FoldsSummary(5, 150, right, 0.3, 150, 1.0))
    app = overview()
    shown = f"{right:.2%}"
    line = app.selectbox[0].options[0]
    head = f"{run.config.network} · accuracy {shown} · log loss 0.3000 · cross-validated · "
    assert line.startswith(head)  # the part that a phone shows
    assert line.endswith(f" · {run.data_root.name} · {run.name}")
    assert figures(app)["Accuracy"] == shown


def test_damaged_predictions_are_named_in_one_sentence(make_run):
    run = make_run(n=30)
    run.predictions_path("valid").write_bytes(b"nothing")
    app = overview()
    assert not app.exception
    assert "valid.parquet" in app.error[0].value.replace("&#46;", ".")


def test_unfinished_runs_are_not_offered(make_run):
    make_run(n=30, state="failed", seed=1)
    app = overview()
    assert not app.selectbox
    assert [button.label for button in app.button] == ["Manage", "Start the demo", "Use my images"]


def test_what_the_precision_changed_stands_below_the_figures(make_run):
    run = make_run(n=40)
    assert "float32" not in page_text(overview())
    options = replace(run.fit_options, precision="bfloat16")
    figures = {"log_loss": 0.1234, "log_loss_float32": 0.12385, "interval": (-0.002, 0.001)}
    check = PrecisionCheck(256, 0.0123, -0.00045, precision="bfloat16", **figures)
    run.update_config(options=options, precision_check=check)
    app = overview()
    assert not app.exception
    assert unescape(app.caption[0].value) == (
        "Computed in bfloat16: on 256 validation images the log loss is 0.1234, and 0.1239 in "
        "float32; no probability differs by more than 0.012."
    )


def kept_steps(run: Run) -> list[NextStep]:
    """Keep steps of each kind beside a run."""
    steps = [
        NextStep("blend", "Blend with <b>x</b>", 0.05, (0.01, 0.09), "measured here", "so", "1 s",
                 ("blend",), run="other"),
        NextStep("images", "Label 40 more", 0.02, (-0.01, 0.05), "extrapolated from here", "so",
                 "1 s", ("fit",)),
        NextStep("correction", "Apply clip bounds", 0.01, (0.0, 0.02), "measured here", "", "0 s",
                 ("recommend",)),
        NextStep("labels", "Review 3 suspected labels", None, (0.0, 0.03), "at most", "", "3",
                 ("triage",)),
        NextStep("unheard-of", "Never shown", 9.0, (8.0, 10.0), "measured here", "", "", ()),
    ]  # fmt: skip
    made = "2026-03-01T12:00:00Z"
    save_next_steps(
        run, NextSteps(run.name, "valid", 40, 0.3, made, tuple(steps), ("Views: unknown.",))
    )
    return steps


def test_what_next_shows_the_kept_steps_with_gain_interval_and_a_button(make_run):
    run = make_run(n=40)
    kept_steps(run)
    app = overview()
    assert not app.exception
    shown = unescape(page_text(app))
    for text in ("Blend with <b>x</b>", "Label 40 more", "includes 0",
                 "lowers the log loss by about 0.0500 (95 %: 0.0100 to 0.0900); measured on these",
                 "estimated from these images", "Review 3 suspected labels",
                 "lowers the log loss by at most 0.0300", "Views: unknown.",
                 "Largest expected gain first, steps without an expected gain last. Measured",
                 "Measured 2026-03-01 12:00 UTC on 40 images"):  # fmt: skip
        assert text in shown
    assert "Never shown" not in shown
    buttons = [button.label for button in app.button if button.key and "next_" in button.key]
    assert buttons == ["Compare", "Go to Train", "Go to Clip", "Review", "Measure again"]
    app.button(key="next_3").click().run()
    assert app.query_params["show"] in ("suspects", ["suspects"])
    assert app.query_params["kind"] in ("label", ["label"])


def test_what_next_starts_the_command_and_says_how_it_goes(make_run, monkeypatch):
    run = make_run(n=40)
    started: list[list[str]] = []
    monkeypatch.setattr(side_result, "start_command", lambda to, *_, **__: started.append([*to]))
    app = overview()
    app.button(key="next_find").click().run()
    assert started == [["next", run.name, "--json"]]
    assert "Measuring what would lower the log loss" in app.info[0].value
    (run.folder / "next.log").write_text("Error: it could not.\n")
    app = overview()
    assert "it could not" in unescape(app.error[0].value)
    next_steps_of(run).path.write_text("{}")
    assert "next.json is damaged: run is missing" in unescape(overview().error[0].value)


def test_a_step_of_the_panel_starts_the_fit_that_it_names(make_run, monkeypatch):
    run = make_run(n=40)
    step = NextStep("views", "Fit with 2 views", 0.1, (0.0, 0.2), "measured here", "", "seconds",
                    (), value="2")  # fmt: skip
    save_next_steps(run, NextSteps(run.name, "valid", 40, 0.3, "", (step,), ()))
    asked: list[FitOptions] = []
    monkeypatch.setattr(commands, "start_fit", asked.append)
    button = overview().button(key="next_0")
    assert button.label == "Start this fit now" and "starts at once" in button.help
    assert "It takes seconds" in unescape(button.help)
    button.click().run()
    assert [options.views for options in asked] == [2]
    assert (asked[0].data, asked[0].network) == (run.config.data, run.config.backbone)


def test_what_next_is_outdated_only_while_verdicts_give_another_gain(make_run):
    run = make_run(n=40)
    table = run.predictions()
    row = int(np.flatnonzero(table.y_pred != table.y_true)[0])
    label, other = (table.class_names[column[row]] for column in (table.y_true, table.y_pred))
    image = run.images.set_index("id").loc[table.ids[row].as_py()]
    suspect = {"id": image.name, "label": label, "suggested": other, "kind": "label",
               "sha256": image["sha256"], "score": 0.9}  # fmt: skip
    save_triage(run, pd.DataFrame([suspect]).reindex(columns=COLUMNS))
    step = labels_step(load_triage(run), table, Verdicts(), run.name)
    assert step
    made = "2026-03-01T12:00:00Z"
    save_next_steps(run, NextSteps(run.name, "valid", 40, 0.3, made, (step,), ()))

    def outdated() -> bool:
        app = overview()
        assert not app.exception
        return "measure again" in page_text(app)

    assert not outdated()
    save_verdict(Verdict(image["sha256"], "fine", given=label))
    assert outdated()
    undo_verdict(image["sha256"], label)
    assert not outdated()


def test_bars_points_and_classes_lead_to_their_images(make_run):
    run = make_run(n=300, n_test=0)
    p, table = run.predictions(), tables.table(run.name)
    view, score = data.overview(table), run.predictions().probabilities[:, 1]
    wrong = p.y_pred != p.y_true

    def count(chart: str, *points: dict[str, float]) -> tuple[dict[str, str], int]:
        app = overview()
        app.session_state[f"{chart}_points"] = {"points": list(points)}
        app.run()
        assert not app.exception
        shown = {name: app.query_params[name] for name in ("show", "p") if name in app.query_params}
        return shown, int(re.findall(r"\*\*([\d,]+)\*\* of", page_text(app))[0])

    bar = int(view.histogram.incorrect.argmax())
    centre = float(view.histogram.edges[bar : bar + 2].mean())
    address, n = count("histogram", {"x": centre, "curve": 1})
    assert address["show"] == "most-incorrect" and n == view.histogram.incorrect[bar]
    assert n == (wrong & (np.floor(score * 50) == bar)).sum()
    brushed = [{"x": x, "curve": 1} for x in (0.13, 0.31, 0.25)]
    address, n = count("histogram", *brushed)
    assert address == {"show": "most-incorrect", "p": "0.12-0.32"}
    assert n == view.histogram.incorrect[6:16].sum()
    address, n = count("histogram", *brushed, {"x": 0.25, "curve": 0})
    assert "show" not in address and n == ((score >= 0.12) & (score < 0.32)).sum()
    address, n = count("reliability", {"x": 0.01}, {"x": 0.99})
    assert address == {"show": "all"} and n == 300
    at = int(view.reliability.counts.argmin())
    address, n = count("reliability", {"x": float(view.reliability.mean_predicted[at])})
    assert "show" not in address and n == view.reliability.counts[at]

    found = class_table(table)
    for c, each in enumerate(found.scores):
        assert (each.name, each.count) == (p.class_names[c], (p.y_true == c).sum())
        assert each.recall == pytest.approx((~wrong)[p.y_true == c].mean())
        assert each.precision == pytest.approx((~wrong)[p.y_pred == c].mean())
        loss = -np.log(p.probabilities[p.y_true == c, c]).mean()
        assert found.log_loss[c] == pytest.approx(loss)
