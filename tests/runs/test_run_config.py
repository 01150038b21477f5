"""The config of a run: read with its types, from earlier versions too; refused by file and key."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UserError
from engine.runs.files import read_json, write_json
from engine.runs.fit_options import FitOptions
from engine.runs.precision_check import PrecisionCheck
from engine.runs.run import Run
from engine.runs.run_config import NetworkUsed, RunConfig, WeightsSource, read_config, write_config
from engine.runs.run_results import (
    BackbonesCompared,
    FoldsSummary,
    ImageCounts,
    ImportedFrom,
    LabelEditEffect,
    LabelEdits,
    Scores,
)

EFFECT = LabelEditEffect("other", "valid", 9, 1, 0.5, 0.4, 0.1, (0.05, 0.15))
FULL = RunConfig(
    "resnet18+vgg16",
    created="2026-03-01T12:30:07Z",
    name="first",
    data="/photos",
    root="/photos/train",
    class_names=("cat", "dog"),
    positive="cat",
    request={"sample": True},
    options=FitOptions(
        "/photos", backbone=["resnet18", "vgg16"], epochs=3, lr=0.5, valid=9, folds=4,
        verdicts=True,
        weights=["none", "a.pth"], name="first",
    ),
    weights=WeightsSource("none", "0" * 64),
    preprocessing={"resize": 256, "mean": [0.5, 0.5, 0.5]},
    beside=(NetworkUsed("vgg16", WeightsSource("a.pth", "5" * 64), {"resize": 232}),),
    executors=("torch", "openvino"),
    compared=BackbonesCompared("blend", {"blend": 0.25}, {"resnet18": 0.5}, 9),
    fingerprint="1" * 64,
    key="2" * 64,
    inputs_key="3" * 64,
    without_verdicts="4" * 64,
    n=ImageCounts(7, 9, 3, 1),
    scores=Scores(0.5, 0.75),
    test_scores=Scores(0.25, 0.5),
    origin={"samples": ["sample.csv"]},
    started_ns=1_772_368_207_123_456_789,
    predicted={"photos": "/photos"},
    train_counts={"cat": 3, "dog": 4},
    ignored=2,
    notes={"a.jpg": "grey"},
    duplicates=({"paths": ["a", "b"]},),
    l2=0.01,
    head_sha256="5" * 64,
    precision_check=PrecisionCheck(9, 0.01, -0.001, 1.5),
    out_of_fold=FoldsSummary(4, 16, 0.5, 0.75, 1, 0.25),
    label_edits=LabelEdits(2, 1),
    label_edit_effect=EFFECT,
    blend={"members": []},
    source=ImportedFrom("/table.csv", "6" * 64),
)  # fmt: skip


def changed(tmp_path: Path, changes: dict[str, Any]) -> Run:
    """Return a run whose config file has these keys changed."""
    path = tmp_path / "config.json"
    write_config(path, FULL)
    path.write_text(json.dumps({**read_json(path), **changes}))
    return Run(tmp_path)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    empty = RunConfig("")
    assert all(getattr(FULL, each.name) != getattr(empty, each.name) for each in fields(FULL))
    for config in (FULL, RunConfig("imported"), replace(FULL, options=None)):
        write_config(path, config)
        assert read_config(path) == config


def test_the_file_has_the_options_beside_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_config(path, FULL)
    kept = read_json(path)
    assert kept["epochs"] == 3 and kept["held_out"] == 9
    assert kept["valid"] == {"accuracy": 0.5, "log_loss": 0.75}
    assert kept["weights"] == {"source": "none", "sha256": "0" * 64}
    assert kept["corrections"] == {"relabelled": 2, "dropped": 1}
    assert kept["change"]["interval"] == [0.05, 0.15] and "options" not in kept


@pytest.mark.parametrize("valid", [None, 9, {}])
def test_a_fit_that_has_no_scores_yet_wrote_its_option_under_their_key(
    tmp_path: Path, valid: object
) -> None:
    assert changed(tmp_path, {"valid": valid}).config == replace(FULL, scores=None)


def test_a_run_of_before_the_rename_is_read(tmp_path: Path) -> None:
    check = {**asdict(PrecisionCheck(9, 0.01, -0.001, 1.5)), "pictures": 9}
    del check["images"]
    run = changed(tmp_path, {"precision_check": check})
    assert run.config == FULL
    run.update_config(name="again")
    assert read_json(tmp_path / "config.json")["precision_check"]["images"] == 9


def test_an_option_that_an_earlier_version_did_not_have_is_the_default(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"format_version": 1, "backbone": "vgg16", "train": "all"})
    assert read_config(tmp_path / "config.json").options == FitOptions("", train="all")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"class_names": 5}, "class_names should be a list, not 5."),
        ({"class_names": ["a", 5]}, "class_names[1] should be a text, not 5."),
        ({"n": [1]}, "n should be an object, not [1]."),
        ({"n": {"test": "many"}}, "n.test should be a whole number, not 'many'."),
        ({"n": {"test": True}}, "n.test should be a whole number, not True."),
        ({"valid": [1]}, "valid should be an object or null, not [1]."),
        ({"valid": {"accuracy": 1.0}}, "valid.log_loss is missing."),
        ({"valid": {"accuracy": 1, "log_loss": float("nan")}}, "valid.log_loss should be a number"),
        ({"train_counts": {"cat": None}}, "train_counts['cat'] should be a whole number, not None"),
        ({"change": {**asdict(EFFECT), "interval": [1]}}, "change.interval should be a list of 2"),
        ({"epochs": "three"}, "epochs should be a whole number or null, not 'three'."),
        ({"held_out": "some"}, "valid should be a whole number or null, not 'some'."),
        ({"verdicts": 1}, "verdicts should be true or false, not 1."),
        ({"backbone": None}, "backbone should be a text, not None."),
        ({"name": ["x"] * 99}, "name should be a text or null, not ['x', 'x'"),
    ],
)
def test_a_value_of_another_type_is_refused_by_file_and_key(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    run = changed(tmp_path, changes)
    with pytest.raises(UserError) as error:
        _ = run.config
    assert str(error.value).startswith(f"{tmp_path / 'config.json'} is damaged: {sentence}")
    assert len(str(error.value).removeprefix(str(tmp_path))) < 200
