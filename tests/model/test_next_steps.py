"""What next: each step's gain is that of the command that measures it, and nothing else is said."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import engine as second_look
from engine.analysis.compare import compare
from engine.analysis.metrics import log_loss
from engine.analysis.next_steps import in_order, labels_step
from engine.competition.blend import prepare_blend
from engine.competition.correction import compared
from engine.errors import UserError
from engine.library.next_steps import next_steps
from engine.model.next_steps import feature_steps
from engine.model.triage import triage
from engine.runs.next_steps import NextStep, load_next_steps, next_steps_of
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import make_predictions
from engine.runs.run import Run
from engine.runs.triage import COLUMNS
from engine.runs.verdicts import FINE, WRONG, Verdict, Verdicts
from tests.support.small_fits import home, small_fit
from tests.support.synthetic_runs import synthetic_run
from tests.support.tiny_images import kaggle


@pytest.fixture(scope="module")
def workspace_of_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Run]]:
    """Return a workspace with two fits of the same images, one of them with two views."""
    folder = tmp_path_factory.mktemp("next")
    data = kaggle(folder / "data", train=30, test=2)
    with home(folder / "workspace"):
        runs = [
            small_fit(data, folds=5, epochs=None, **options).run
            for options in ({}, {"views": 2}, {"seed": 1})
        ]
    return folder / "workspace", runs


@pytest.fixture
def runs(workspace_of_runs, monkeypatch) -> list[Run]:
    monkeypatch.setenv("SECONDLOOK_HOME", str(workspace_of_runs[0]))
    return workspace_of_runs[1]


def test_each_gain_is_that_of_the_command_that_measures_it(runs):
    found = next_steps(runs[0].name)
    assert found == load_next_steps(runs[0])
    steps = {step.kind: step for step in found.steps}
    own = runs[0].predictions("folds")
    assert (found.n, found.split) == (len(own), "folds")
    assert found.log_loss == log_loss(own.y_true, own.probabilities)
    assert {"images", "backbone", "views"} <= steps.keys()
    assert steps["views"].value == "4"  # a run has two
    assert runs[0].fit_options.image_size  # at whose speed the published size does not pass
    assert "about" in steps["views"].time and "about" not in steps["backbone"].time
    others = {run.name: run for run in runs[1:]}
    gains = {name: -compare(run.predictions("folds"), own).log_loss_difference[0]
             for name, run in others.items()}  # fmt: skip
    if max(gains.values()) > 0:
        assert steps["run"].run == max(gains, key=lambda name: gains[name])
        assert steps["run"].gain == pytest.approx(max(gains.values()))
    if "blend" in steps:
        blend = prepare_blend([runs[0], others[steps["blend"].run]]).found
        assert (steps["blend"].gain, steps["blend"].interval) == (blend.gain[0], blend.gain[1:])
    correction = compared(runs[0])
    assert correction and ("correction" in steps) == (correction.recommended != "none")
    known = [step.gain for step in found.steps if step.gain is not None]
    assert known == sorted(known, reverse=True) and known
    assert found.steps[-1].gain is None and found.steps[-1].interval is None
    assert "Labels: suspected labels have not been searched for." in found.notes
    assert list(found.to_pandas()["title"]) == [step.title for step in found.steps]


def test_more_views_are_measured_where_their_features_are_cached(runs):
    config = runs[1].config
    runs[1].set_status("failed")  # so that no other run has two views
    try:
        step = next(step for step in next_steps(runs[0]).steps if step.kind == "views")
    finally:
        runs[1].set_status("done")
    assert step.value == "2" and step.source == "measured here" and config.options
    fitted = runs[1].predictions("folds"), runs[0].predictions("folds")
    own, wider = (log_loss(t.y_true, t.probabilities) for t in reversed(fitted))
    assert step.gain == pytest.approx(own - wider, abs=0.3 * own)
    assert step.interval and step.interval[0] < step.gain < step.interval[1]
    assert "--views=2" in step.command


def test_another_runs_backbone_beside_is_measured_on_cached_features(runs):
    choices = {"folds": 5, "epochs": None}
    data = runs[0].data_root
    other = small_fit(data, backbone="mobilenet_v2", **choices).run
    both = small_fit(data, backbone=("squeezenet1_1", "mobilenet_v2"), **choices)
    assert both.forward_passes == 0 and both.run.config.compared
    step = feature_steps(runs[0], [runs[1], other]).steps[-1]
    assert (step.kind, step.run, step.value) == ("side by side", other.name, "mobilenet_v2")
    assert step.source == "measured here" and step.gain is not None
    own = runs[0].predictions("folds")
    fitted = both.run.config.compared.log_loss["side by side"]
    assert log_loss(own.y_true, own.probabilities) - step.gain == pytest.approx(fitted, abs=1e-3)
    assert [word for word in step.command if word.startswith("--backbone")] == [
        "--backbone=squeezenet1_1", "--backbone=mobilenet_v2",
    ]  # fmt: skip
    kept = [found for found in next_steps(runs[0]).steps if found.kind == "side by side"]
    assert kept == ([step] if step.gain > 0 else [])
    for run in (other, both.run):
        shutil.rmtree(run.folder)


def test_what_suspected_labels_carry_and_how_verdicts_make_it_a_gain(runs):
    triage(runs[0])
    found = next_steps(runs[0])
    assert not [note for note in found.notes if note.startswith("Labels: suspected labels have")]
    names, p = ("cat", "dog"), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    table = make_predictions(list("abcd"), list("abcd"), [1, 1, 1, 0], p, names)
    rows = [
        {"id": id, "label": "dog", "suggested": "cat", "kind": "label", "sha256": id * 64}
        for id in "ac"
    ]
    suspects = pd.DataFrame(rows).reindex(columns=COLUMNS)
    step = labels_step(suspects, table, Verdicts(), "run")
    carried = (np.log(0.9 / 0.1) / 4, np.log(0.7 / 0.3) / 4)
    assert step and step.gain is None and step.source == "at most"
    assert step.interval == pytest.approx((0, sum(carried)))
    for verdict, share in ((WRONG, 1.0), (FINE, 0.0)):
        judged = Verdict("a" * 64, verdict, label="cat" if verdict == WRONG else "", given="dog")
        step = labels_step(suspects, table, Verdicts({("a" * 64, "dog"): judged}), "run")
        assert step and step.gain == pytest.approx(share * carried[1])
        assert step.title == "Review 1 suspected label" and step.within_noise == (share == 0)
    everything = {(id * 64, "dog"): Verdict(id * 64, FINE, given="dog") for id in "ac"}
    assert labels_step(suspects, table, Verdicts(everything), "run") is None


def test_a_run_without_features_lists_what_can_be_known(tmp_path):
    one, other = (synthetic_run(tmp_path, n=120, seed=s, images=False) for s in (0, 1))
    table = one.predictions()
    better = 0.9 * table.probabilities + 0.1 * np.eye(2)[table.y_true]
    save_predictions(
        other.predictions_path("valid"),
        make_predictions(table.ids.to_pylist(), table.paths.to_pylist(), table.y_true,
                         better, table.class_names),
    )  # fmt: skip
    other.update_config(root=one.config.root)
    found = next_steps(one)
    assert {step.kind for step in found.steps} <= {"correction", "run", "blend"}
    assert any("is imported and has no features" in note for note in found.notes)
    loss = log_loss(table.y_true, better)
    used = [step for step in found.steps if step.kind == "run"]
    assert [step.gain for step in used] == [pytest.approx(found.log_loss - loss)]

    # Where the same ids stand for other images, there is nothing to compare.
    images = other.images
    other.save_tables(
        images.assign(sha256=[f"{i + 1_000_000:064x}" for i in range(len(images))]),
        other.quarantine,
    )
    assert "run" not in {step.kind for step in next_steps(one).steps}


def test_a_run_without_folds_and_the_command(runs, tmp_path, engine):
    data = Path(str(runs[0].config.data))
    run = small_fit(data, seed=3).run
    said = engine("next", run.name, "--json")
    made = json.loads(said.out)
    assert made["split"] == "valid" and made["run"] == run.name
    assert {"kind", "title", "gain", "interval", "source", "reason", "time"} <= made["steps"][
        0
    ].keys()
    text = engine("next", run.name).out
    for step in made["steps"]:
        assert step["title"] in text
    assert next_steps_of(run).state == ("done", "")
    assert second_look.open_run(run.name).next_steps().split == "valid"
    empty = synthetic_run(tmp_path, n=0)
    with pytest.raises(UserError, match="has no labelled images"):
        next_steps(empty)


def test_a_gain_within_noise_says_so_and_unknown_gains_come_last():
    def step(gain, interval):
        return NextStep("images", "x", gain, interval, "measured here", "", "", ())

    noisy, sure = step(0.2, (-0.1, 0.5)), step(0.3, (0.1, 0.5))
    bounded, unknown = step(None, (0.0, 0.9)), step(None, None)
    assert in_order([unknown, bounded, noisy, sure]) == (sure, noisy, bounded, unknown)
    assert noisy.gain_text == "0.2000 (95 %: -0.1000 to 0.5000; includes 0)"
    assert sure.gain_text == "0.3000 (95 %: 0.1000 to 0.5000)"
    assert sure.estimate.startswith("lowers the log loss by about 0.3000 (95 %:")
    assert step(-0.1, (-0.2, 0.1)).estimate.startswith("does not lower the log loss: gain -0.1000")
    elsewhere = replace(unknown, source="measured elsewhere")
    assert elsewhere.estimate == "not measured on these images; known only from other images"
    assert (bounded.gain_text, unknown.gain_text) == ("at most 0.9000", "not measured here")
