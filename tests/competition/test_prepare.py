"""A run and two bounds become the checked file: its own sample, its quarantine, its base rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.competition.correction import positive_index
from engine.competition.prepare import base_rate, find_sample, prepare_submission
from engine.errors import UserError
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import UNKNOWN, make_predictions
from engine.runs.run import Run
from tests.support.run_folders import run_with
from tests.support.submission_tables import clipped, failed, rows_of

P_DOG = {"1": 0.2, "2": 0.99, "10": 0.6}


def _run(data: Path, p_dog: dict[str, float] | None = None, **config: Any) -> Run:
    """Make a finished run whose test image 3 is quarantined, as one train image is."""
    data.mkdir(exist_ok=True)
    settings = {
        "data": str(data), "root": str(data), "class_names": ["cat", "dog"], "positive": None,
        "train_counts": {"cat": 30, "dog": 10},
    }  # fmt: skip
    run = run_with("vgg16", settings | config)
    p = P_DOG if p_dog is None else p_dog
    values = np.array(list(p.values()))
    paths = [f"test/{id}.jpg" for id in p]
    table = make_predictions(
        list(p), paths, np.full(len(p), UNKNOWN), np.column_stack([1 - values, values]),
        ["cat", "dog"],
    )  # fmt: skip
    save_predictions(run.predictions_path("test"), table)
    quarantine = pd.DataFrame(
        [
            ("test/3.jpg", "the file is empty", "3", "test", None),
            ("train/cat.7.jpg", "the file is empty", "cat.7", "train", "cat"),
        ],
        columns=["path", "reason", "id", "split", "label"],
    )
    images = pd.DataFrame({"id": list(p), "path": paths, "split": "test"})
    run.save_tables(images, quarantine)
    return run


def test_without_a_sample_the_file_is_id_and_label_in_natural_order(tmp_path):
    run = _run(tmp_path / "data")
    assert find_sample(run) is None
    submission = prepare_submission(run, clipped(0.025, 0.975))
    assert rows_of(submission) == [
        ["id", "label"], ["1", "0.20000"], ["2", "0.97500"], ["3", "0.25000"], ["10", "0.60000"],
    ]  # fmt: skip
    assert submission.flagged == ("3",) and submission.ok


@pytest.mark.parametrize("name", ["sample_submission.csv", "sampleSubmission.csv"])
def test_the_sample_beside_the_images_gives_order_and_header(name, tmp_path):
    run = _run(tmp_path / "data")
    (tmp_path / "data" / name).write_text("Id,is_cat\n10,0.5\n3,0.5\n1,0.5\n2,0.5\n")
    assert find_sample(run) == tmp_path / "data" / name
    rows = rows_of(prepare_submission(run, clipped(0.0, 1.0)))
    assert [row[0] for row in rows] == ["Id", "10", "3", "1", "2"]
    assert [float(row[1]) for row in rows[1:]] == pytest.approx([0.4, 0.75, 0.8, 0.01])


def test_a_named_sample_is_taken_before_the_one_beside_the_images(tmp_path):
    run = _run(tmp_path / "data")
    (tmp_path / "data" / "sample_submission.csv").write_text("id,label\n1,0.5\n")
    mine = tmp_path / "mine.csv"
    mine.write_text("id,label\n2,0.5\n1,0.5\n10,0.5\n3,0.5\n")
    submission = prepare_submission(run, clipped(0.0, 1.0), mine)
    assert submission.ids.to_pylist() == ["2", "1", "10", "3"] and submission.ok
    assert failed(prepare_submission(run, clipped(0.0, 1.0))) == ["ids"]


def test_quarantined_training_images_get_no_row(tmp_path):
    submission = prepare_submission(_run(tmp_path / "data"), clipped(0.0, 1.0))
    assert "cat.7" not in submission.ids and len(submission.ids) == 4


def test_the_base_rate_is_the_share_of_each_class_in_training(tmp_path):
    assert base_rate(_run(tmp_path / "data")).tolist() == [0.75, 0.25]
    assert base_rate(_run(tmp_path / "data", train_counts={"dog": 5})).tolist() == [0.0, 1.0]
    assert base_rate(_run(tmp_path / "data", train_counts={})).tolist() == [0.5, 0.5]


def test_the_positive_class_is_the_second_of_two_or_as_named(tmp_path):
    assert positive_index(_run(tmp_path / "data")) is None
    assert positive_index(_run(tmp_path / "data", positive="cat")) == 0
    rows = rows_of(prepare_submission(_run(tmp_path / "data", positive="cat"), clipped(0.3, 1.0)))
    assert rows[1:3] == [["1", "0.80000"], ["2", "0.30000"]]


def test_a_run_without_test_predictions_is_refused(tmp_path):
    run = _run(tmp_path / "data")
    run.predictions_path("test").unlink()
    with pytest.raises(UserError, match=f"run {run.name} has no test predictions"):
        prepare_submission(run, clipped(0.0, 1.0))


def test_impossible_bounds_and_a_missing_sample_are_refused(tmp_path):
    run = _run(tmp_path / "data")
    with pytest.raises(UserError, match="lower bound 0.9"):
        prepare_submission(run, clipped(0.9, 0.1))
    with pytest.raises(UserError, match="nowhere.csv"):
        prepare_submission(run, clipped(0.0, 1.0), tmp_path / "nowhere.csv")
