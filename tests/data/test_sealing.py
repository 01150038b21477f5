"""Sealed images take part in nothing until they are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import engine
from engine.cli import main as command_line
from engine.data.dataset import load_dataset
from engine.errors import UserError
from engine.runs.sealed_images import sealed_images
from tests.support import tiny_images as tiny

FIT = {"backbone": "squeezenet1_1", "weights": "none", "image_size": 32, "precision": "float32"}


@pytest.fixture
def data(tmp_path):
    return tiny.kaggle(tmp_path / "data", train=30, test=4)


def test_sealed_images_are_of_every_class_and_in_no_split(data):
    dataset = load_dataset(data, sealed=12)
    whole = load_dataset(data)
    assert dataset.sealed["label"].value_counts().to_dict() == {"cat": 6, "dog": 6}
    assert set(dataset.sealed["split"]) == {"sealed"}
    assert not set(dataset.sealed["sha256"]) & set(dataset.images["sha256"])
    both = pd.concat([dataset.images, dataset.sealed])
    assert sorted(both["sha256"]) == sorted(whole.images["sha256"])
    assert dataset.sealed["id"].tolist() == load_dataset(data, sealed=12).sealed["id"].tolist()


def test_copies_are_sealed_together(data):
    train = sorted((data / "train").glob("cat.*.jpg"))
    for number in range(0, 20, 2):
        train[number + 1].write_bytes(train[number].read_bytes())
    dataset = load_dataset(data, sealed=12)
    assert 6 <= len(dataset.sealed) <= 18
    assert not set(dataset.sealed["sha256"]) & set(dataset.images["sha256"])


def test_too_many_cannot_be_sealed(data):
    with pytest.raises(UserError, match="at most 56 can be sealed") as refused:
        load_dataset(data, sealed=57)
    assert refused.value.on_command_line.startswith("--sealed 57 is too many")


def test_a_report_scores_them_and_nothing_else_shows_them(data, workspace):
    run = engine.fit(data, sealed=12, folds=2, **FIT)
    sealed = sealed_images(run)
    assert not set(sealed["id"]) & set(run.images.loc[run.images["split"] != "test", "id"])
    assert not run.predictions_path("sealed").exists()
    report = run.report(on="sealed")
    made = run.predictions("sealed")
    assert sorted(made.ids.to_pylist()) == sorted(sealed["id"]) and report.n == len(sealed) == 12
    p = made.probabilities[np.arange(12), made.y_true]
    assert report.log_loss == pytest.approx(-np.log(p).mean())
    assert run.labelled_split == "folds" and len(run.predictions("folds")) == 48
    with pytest.raises(engine.UserError, match="no sealed images; seal some with"):
        engine.fit(data, **FIT).report(on="sealed")


def test_a_sealed_image_that_cannot_be_decoded_is_said(data, workspace, capsys, monkeypatch):
    train = data / "train" / "cat.0.jpg"
    torn = train.read_bytes()
    for file in sorted((data / "train").glob("*.jpg")):  # whole headers, pixels cut short
        if int(file.stem.split(".")[1]) % 5 == 0:
            file.write_bytes(file.read_bytes()[: len(torn) * 2 // 3])
    run = engine.fit(data, sealed=20, **FIT)
    monkeypatch.setattr("sys.argv", ["engine", "report", run.name, "--on", "sealed"])
    assert command_line.main() == 0
    n = len(run.predictions("sealed"))
    assert n < len(sealed_images(run))
    left = len(sealed_images(run)) - n
    assert f"{left} sealed images cannot be decoded and are left out" in capsys.readouterr().out
