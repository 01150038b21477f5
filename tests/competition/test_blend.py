"""A blend is a run like any other: judged, clipped, shown and handed in; and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import engine
from engine.analysis.clip_report import clip_report
from engine.analysis.metrics import log_loss
from engine.analysis.report import report
from engine.competition.blend import keep_blend, prepare_blend
from engine.competition.prepare import prepare_submission
from engine.competition.records import write_submission
from engine.errors import UserError
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import UNKNOWN, make_predictions
from engine.runs.run import Run
from engine.runs.run_list import list_runs
from tests.support.run_folders import run_with
from tests.support.submission_tables import clipped

NAMES = ["cat", "dog"]


def member(
    folder: Path,
    noise: float,
    seed: int,
    *,
    valid: int = 200,
    test: list[str] | None = None,
    folds: bool = False,
    changed: str = "",
) -> Run:
    """Return a finished run whose probabilities are the truth seen through noise."""
    y = np.random.default_rng(0).integers(0, 2, valid)
    rng = np.random.default_rng(seed)
    test = [str(i) for i in range(30)] if test is None else test
    run = run_with(
        "vgg16",
        {
            "name": None, "class_names": NAMES, "positive": "dog", "root": str(folder),
            "data": str(folder), "train_counts": {"cat": 30, "dog": 10}, "n": {"test": len(test)},
        },
    )  # fmt: skip
    rows = []
    splits = {"valid": [f"v{i:04}" for i in range(valid)], "test": test}
    for split, names in splits.items():
        labels = y if split == "valid" else np.full(len(names), UNKNOWN)
        truth = y[: len(names)] if split == "valid" else np.arange(len(names)) % 2
        odds = 2 * (2 * truth - 1) + rng.normal(0, noise, len(names))
        p = 1 / (1 + np.exp(-odds))
        table = make_predictions(names, names, labels, np.column_stack([1 - p, p]), NAMES)
        if names:
            save_predictions(run.predictions_path(split), table)
        if folds and split == "valid":
            save_predictions(run.predictions_path("folds"), table)
        rows += [
            (
                name,
                f"{name}.jpg",
                split,
                None,
                10,
                10,
                9,
                sha256(f"{split == changed}{name}".encode()).hexdigest(),
            )
            for name in names
        ]
    columns = ["id", "path", "split", "label", "width", "height", "bytes", "sha256"]
    aside = pd.DataFrame(
        [("bad.jpg", "broken", "99", "test", "")],
        columns=["path", "reason", "id", "split", "label"],
    )
    run.save_tables(pd.DataFrame(rows, columns=columns), aside)
    run.set_status("done")
    return run


def test_a_blend_is_kept_as_a_run_that_can_be_judged_clipped_and_handed_in(tmp_path):
    members = [member(tmp_path, 1.0, 1), member(tmp_path, 1.0, 2), member(tmp_path, 1.5, 3)]
    prepared = prepare_blend(members)
    assert len(list_runs()) == 3  # nothing is written yet
    run = keep_blend(prepared, "together")
    assert run.status.state == "done" and run.config.name == "together"
    pool = prepared.found.pool
    for split in ("valid", "test"):
        tables = [each.predictions(split) for each in members]
        expected = pool.probabilities(tables)
        assert run.predictions(split).probabilities == pytest.approx(expected, abs=1e-12)
        assert run.predictions(split).ids.equals(tables[0].ids)
    found = report(run.predictions("valid"))
    assert found.log_loss == pytest.approx(run.config.scores.log_loss)
    alone = [log_loss(t.y_true, t.probabilities) for t in (m.predictions("valid") for m in members)]
    assert found.log_loss < min(alone)
    assert clip_report(run.predictions("valid"), 0.01, 0.99).log_loss_before == found.log_loss
    submission = prepare_submission(run, clipped(0.01, 0.99))
    assert sorted(submission.ids.to_pylist()) == sorted([*map(str, range(30)), "99"])
    assert list(submission.flagged) == ["99"]  # the quarantine is the first member's
    folder = run.folder / "submissions"
    assert write_submission(folder, submission, run=run.name, now=datetime.now(UTC)).is_file()
    pd.testing.assert_frame_equal(run.images, members[0].images)


def test_images_of_one_group_count_as_one_in_a_blend(tmp_path):
    members = [member(tmp_path, 1.0, 1), member(tmp_path, 1.0, 2)]
    before = prepare_blend(members).found.gain
    images = members[0].images
    images["group"] = [f"patient {k // 10}" for k in range(len(images))]
    members[0].save_tables(images, members[0].quarantine)
    after = prepare_blend(members).found.gain
    assert after != before and after[2] - after[1] > 0


def test_what_the_summary_says(tmp_path):
    members = [member(tmp_path, 1.0, 1), member(tmp_path, 1.0, 2)]
    prepared = prepare_blend(members)
    value = prepared.summary()
    assert [each["run"] for each in value["members"]] == [run.name for run in members]
    assert sum(each["weight"] for each in value["members"]) == pytest.approx(1)
    for each in value["members"]:
        assert each["weight_range"][0] <= each["weight"] <= each["weight_range"][1]
    assert value["gain"] == pytest.approx(
        value["best_single_log_loss"] - value["cross_validated_log_loss"]
    )
    by_kind = value["log_loss_by_kind"]
    assert set(by_kind) == {"probabilities", "log odds"}
    assert by_kind[value["kind"]] == min(by_kind.values())
    assert value["split"] == "valid" and value["n"] == 200 and value["left_out"] == {}
    assert keep_blend(prepared).config.blend == value


def test_out_of_fold_predictions_are_taken_where_all_have_them(tmp_path):
    both = [member(tmp_path, 1.0, seed, folds=True) for seed in (1, 2)]
    prepared = prepare_blend(both)
    assert prepared.split == "folds"
    run = keep_blend(prepared)
    assert run.labelled_split == "folds" and len(run.predictions("valid")) == 200
    one = member(tmp_path, 1.0, 3)
    assert prepare_blend([both[0], one]).split == "valid"
    assert keep_blend(prepare_blend([both[0], one])).labelled_split == "valid"


def test_members_without_test_images_make_a_blend_without(tmp_path):
    run = keep_blend(prepare_blend([member(tmp_path, 1, seed, test=[]) for seed in (1, 2)]))
    assert run.config.n.test == 0 and not run.predictions_path("test").exists()


def test_only_images_that_all_have_are_judged(tmp_path):
    prepared = prepare_blend([member(tmp_path, 1, 1), member(tmp_path, 1, 2, valid=150)])
    assert len(prepared.joined.tables[0]) == 150
    assert prepared.joined.left_out == {"not predicted by every run": 50}
    assert len(keep_blend(prepared).predictions("valid")) == 150


def test_what_does_not_go_together_is_refused(tmp_path):
    first = member(tmp_path, 1, 1)
    with pytest.raises(UserError, match="two or more runs"):
        prepare_blend([first])
    with pytest.raises(UserError, match=f"different runs; name '{first.name}' only once"):
        prepare_blend([first, first])
    other = member(tmp_path, 1, 2, test=[*(str(i) for i in range(29)), "fremd"])
    with pytest.raises(UserError, match="differ in ids '29', 'fremd'"):
        keep_blend(prepare_blend([first, other]))
    changed = member(tmp_path, 1, 3, changed="test")
    with pytest.raises(UserError, match="not the same for ids '0', '1'"):
        keep_blend(prepare_blend([first, changed]))
    without = member(tmp_path, 1, 4, test=[])
    with pytest.raises(UserError, match=f"test predictions are missing for '{without.name}'"):
        keep_blend(prepare_blend([first, without]))
    assert not [run for run in list_runs() if run.config.backbone == "blend"]


def test_other_images_under_the_same_ids_are_not_paired(tmp_path):
    first, other = member(tmp_path, 1, 1), member(tmp_path, 1, 2, changed="valid")
    for pair in (prepare_blend, lambda runs: engine.compare(*runs)):
        with pytest.raises(UserError, match="no labelled image was predicted by all of these"):
            pair([first, other])


def test_a_blend_has_no_model(tmp_path):
    from engine.model.predict import predict

    run = keep_blend(prepare_blend([member(tmp_path, 1, 1), member(tmp_path, 1, 2)]))
    with pytest.raises(UserError, match="no model: it is a blend"):
        predict(run)
