"""`bounds`, `report --on` and `clip --on` say what the analysis says of the images asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import log_loss
from typer.testing import CliRunner

from engine.analysis.recommendation import compare_corrections
from engine.analysis.shift import shifted_loss
from engine.cli.main import app
from engine.errors import UserError
from engine.runs.files import write_json
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import make_predictions
from engine.runs.run import Run
from tests.support.clip_tables import two_classes
from tests.support.run_folders import run_with


@pytest.fixture
def run() -> Run:
    """Return a run of 60 valid images and 200 out of fold, without any images."""
    made = run_with("vgg16", {"class_names": ["cat", "dog"], "n": {"test": 10}})
    for split, n in (("valid", 60), ("folds", 200)):
        y, p = two_classes(n)
        names = [f"{i:04}" for i in range(n)]
        table = make_predictions(names, names, y, p, ["cat", "dog"])
        save_predictions(made.predictions_path(split), table)
    made.set_status("done")
    return made


def said(*words: str) -> dict:
    result = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_bounds_says_what_the_analysis_says(run):
    y, p = two_classes(200)
    found = said("bounds", run.name, "--worse", "0.5")
    compared = compare_corrections(y, p).summary()
    assert {key: found[key] for key in compared} == json.loads(json.dumps(compared))
    assert (found["run"], found["on"], found["n"]) == (run.name, "folds", 200)
    expected = shifted_loss(y, p, 0.5).summary(run.bounds)
    assert found["worse"] == {**expected, "learned": None, "learned_interval": None,
                              "learned_sentence": None, "scores": []}  # fmt: skip
    assert said("bounds", run.name)["worse"]["points"] == 0


def test_what_submissions_scored_is_learned(run):
    score = shifted_loss(*two_classes(200), 0.7).at(0.02, 0.98)
    record = {"lower": 0.02, "upper": 0.98, "kaggle": {"score": score}}
    write_json(run.folder / "submissions" / "20260301T120000Z.json", record)
    write_json(run.folder / "submissions" / "20260301T120001Z.json", {"kaggle": {"score": None}})
    worse = said("bounds", run.name)["worse"]
    assert worse["learned"] == worse["points"] == pytest.approx(0.7)
    assert worse["scores"] == [{"lower": 0.02, "upper": 0.98, "score": score}]


def test_a_person_reads_a_table_and_a_sentence(run):
    words = ["bounds", run.name, "--worse", "0.5"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert compare_corrections(*two_classes(200)).sentence[:40] in result.stdout
    assert "Isotonic regression" in result.stdout and "0.5 points lower" in result.stdout


@pytest.mark.parametrize("command", ["report", "clip"])
def test_other_commands_look_at_all_images_unless_told_otherwise(command, run):
    key = "log_loss" if command == "report" else "log_loss_before"
    for words, n in (((), 200), (("--on", "folds"), 200), (("--on", "valid"), 60)):
        found = said(command, run.name, *words)
        assert found[key] == pytest.approx(log_loss(*two_classes(n)))
        assert found["on"] == ("valid" if n == 60 else "folds")


def test_what_cannot_be_compared_is_refused(run):
    for words, sentence in (
        (("--worse", "101"), "worse=101.0 cannot be used: points 101.0 must lie between 0 and"),
        (("--on", "valid"), "images are too few"),
    ):
        if "--on" in words:
            few = make_predictions(["a"], ["a"], np.array([0]), np.array([[0.9, 0.1]]), ["c", "d"])
            save_predictions(run.predictions_path("valid"), few)
        with pytest.raises(UserError, match=sentence):
            CliRunner().invoke(app, ["bounds", run.name, *words], catch_exceptions=False)
