"""The run folder: made, found by name, and telling the truth about its process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from engine.runs import run as module
from engine.runs.files import read_json, workspace, write_json
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import make_predictions
from engine.runs.run import DEFAULT_BOUNDS, Run
from engine.runs.run_config import FORMAT_VERSION
from engine.runs.run_list import list_runs, open_run
from tests.support.run_folders import run_with, set_keys

ROOT = Path(__file__).resolve().parents[2]

HOLDER = """
import pathlib, sys, time
from engine.runs.run import Run
run = Run(pathlib.Path(sys.argv[1]))
with run.held() as mine:
    run.set_status("running", stage="train")
    print("ready" if mine else "taken", flush=True)
    time.sleep(600)
"""


def made(second: int = 0, backbone: str = "vgg16", state: str = "done", **config: object) -> Run:
    now = datetime(2026, 3, 1, 12, 30, second, tzinfo=UTC)
    run = run_with(backbone, {"class_names": ["cat", "dog"], "root": "/data", **config}, now)
    run.set_status(state)
    return run


def refusal(name: str) -> str:
    with pytest.raises(UserError) as caught:
        open_run(name)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


def test_a_run_is_named_after_time_and_backbone(workspace):
    run = made(7)
    assert run.name.startswith("20260301T123007Z-vgg16-")
    assert len(run.name.rpartition("-")[2]) == 6
    assert run.folder == workspace / "runs" / run.name
    assert run.config.created == "2026-03-01T12:30:07Z"
    assert run.config.backbone == "vgg16"
    assert run.class_names == ("cat", "dog")
    assert run.data_root == Path("/data")
    assert made(7).name != run.name


def test_a_new_run_is_queued():
    assert run_with("vgg16", {}).status.state == "queued"


def test_a_workspace_that_cannot_be_written_is_refused(workspace):
    workspace.write_text("in the way")
    with pytest.raises(UserError, match=str(workspace)):
        run_with("vgg16", {})


def test_runs_are_listed_newest_first(workspace):
    assert list_runs() == []
    older, newest, oldest = made(5), made(9), made(1)
    (workspace / "runs" / "stray").mkdir()
    (workspace / "runs" / "file.txt").write_text("x")
    assert list_runs() == [newest, older, oldest]


def test_a_run_is_found_by_its_name_or_a_beginning_of_its_own():
    one, other = made(5), made(6)
    assert open_run(one.name) == one
    assert open_run(one.name[:16]) == one
    assert open_run(other.name[:-1]) == other
    assert "beginning of 2 runs" in refusal("20260301T1230")
    assert "is not a run" in refusal("19990101T000000Z-vgg16-abcdef")


def test_of_runs_of_one_second_the_latest_was_started_last(workspace):
    for _ in range(4):
        last = [made(7) for _ in range(3)]
        assert list_runs()[:3] == last[::-1]
        assert open_run("latest") == last[-1]


def test_the_latest_run_is_the_newest_that_is_done(workspace):
    assert str(workspace) in refusal("latest")
    made(9, state="failed")
    run_with("vgg16", {}, datetime(2026, 3, 1, 13, tzinfo=UTC))
    assert "no finished run" in refusal("latest")
    older = made(3)
    newer = made(4)
    assert open_run("latest") == newer
    (newer.folder / "status.json").write_text("{}")
    assert open_run("latest") == older


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/etc", "a/b", "a\\b", "a b", "-x", ".lock", "a\n", "a\0b", "x" * 200,
     "*", "~", "ä"],
)  # fmt: skip
def test_a_name_is_never_a_path(workspace, name):
    run = made()
    outside = workspace / "runs" / ".." / "x"
    outside.mkdir()
    (outside / "config.json").write_text((run.folder / "config.json").read_text())
    assert "is not the name of a run" in refusal(name)


def test_a_run_of_a_newer_version_is_refused():
    run = made()
    set_keys(run, format_version=FORMAT_VERSION + 1)
    with pytest.raises(UserError, match=f"format version {FORMAT_VERSION + 1}"):
        _ = run.config
    write_json(run.folder / "config.json", {"no": "version"})
    with pytest.raises(UserError, match="format version"):
        _ = run.class_names


def test_config_keys_are_added_and_replaced():
    run = made(note="été", n={"train": 4, "test": 2, "later": 1})
    run.update_config(name="second", l2=0.5)
    assert (run.config.name, run.config.l2, run.config.n.train) == ("second", 0.5, 4)
    assert run.config.class_names == ("cat", "dog")
    kept = read_json(run.folder / "config.json")
    assert kept["note"] == "été" and kept["n"]["later"] == 1  # of a later version
    with pytest.raises(TypeError, match="note"):
        run.update_config(note="x")


def test_status_is_what_was_set():
    run = made()
    run.set_status("failed", message="no disk")
    status = run.status
    assert (status.state, status.message) == ("failed", "no disk")
    assert abs(status.updated - time.time()) < 60


def test_running_without_a_process_is_lost():
    run = made(state="running")
    assert run.status.state == "lost"
    with run.held() as mine:
        assert mine
        assert run.status.state == "running"
    assert run.status.state == "lost"


def test_a_killed_process_is_shown_as_lost():
    run = made(state="queued")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        assert run.status.state == "running"
        assert run.status.pid == process.pid
        process.kill()
        process.wait()
        lost = run.status
        assert lost.state == "lost"
        assert lost.stage == "train"
        assert lost.message
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_who_asks_for_the_status_does_not_keep_a_fit_from_starting():
    run = made(state="queued")
    script = HOLDER.replace("with run", 'print("asking", flush=True)\nwith run')
    process = subprocess.Popen(
        [sys.executable, "-c", script.replace("time.sleep(600)", ""), str(run.folder)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with module.locked(run.folder / ".lock"):  # as another reader of the status does, but longer
        assert process.stdout.readline() == "asking\n"
        time.sleep(0.2)
    assert process.communicate(timeout=60)[0] == "ready\n"


def test_a_queued_run_is_lost_only_after_a_while(monkeypatch):
    run = made(state="queued")
    assert run.status.state == "queued"
    kept = read_json(run.folder / "status.json")
    write_json(
        run.folder / "status.json", {**kept, "updated": time.time() - module._QUEUE_PATIENCE - 1}
    )
    assert run.status.state == "lost"


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"state": "odd"}'])
def test_a_damaged_status_is_lost_and_says_why(content):
    run = made()
    path = run.folder / "status.json"
    path.unlink() if content is None else path.write_text(content)
    status = run.status
    assert status.state == "lost"
    assert str(path) in status.message


def test_cancel_is_a_file():
    run = made()
    assert not run.cancel_requested
    (run.folder / "cancel").touch()
    assert run.cancel_requested


def test_a_half_written_line_of_the_log_is_left_out():
    run = made()
    assert run.epochs == []
    epochs = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
    run.write_epochs(epochs)
    assert run.epochs == epochs
    log = run.folder / "log.jsonl"
    log.write_text(log.read_text() + json.dumps({"epoch": 3, "loss": 0.125})[:12])
    assert run.epochs == epochs


def test_bounds_are_remembered():
    run = made()
    assert run.bounds == DEFAULT_BOUNDS == (0.025, 0.975)
    run.set_bounds(0.01, 0.97)
    assert run.bounds == (0.01, 0.97)
    assert open_run(run.name).bounds == (0.01, 0.97)
    assert made(1).bounds == DEFAULT_BOUNDS
    for content in ("", "[]", '{"lower": 0.1}', '{"lower": "x", "upper": 1}'):
        (run.folder / "bounds.json").write_text(content)
        assert run.bounds == DEFAULT_BOUNDS


def images_table(ids: list[str], splits: list[str], labels: list[str | None]) -> pd.DataFrame:
    n = len(ids)
    return pd.DataFrame(
        {
            "id": ids,
            "path": [f"{split}/{id}.jpg" for split, id in zip(splits, ids, strict=True)],
            "split": splits,
            "label": labels,
            "width": [40] * n,
            "height": [30] * n,
            "bytes": [1000] * n,
            "sha256": [f"{i:064x}" for i in range(n)],
        }
    )


NOTHING = pd.DataFrame(columns=["path", "reason", "id", "split", "label"], dtype=object)


def test_tables_come_back_sorted():
    run = made()
    images = images_table(["b", "001", "a"], ["valid", "test", "train"], ["dog", None, "cat"])
    run.save_tables(images, NOTHING)
    found = run.images
    assert found["id"].tolist() == ["001", "a", "b"]
    assert found["split"].tolist() == ["test", "train", "valid"]
    assert found["label"].isna().tolist() == [True, False, False]
    assert found.set_index("id").loc["a", "sha256"] == f"{2:064x}"
    assert run.quarantine.empty
    assert list(run.quarantine.columns) == list(NOTHING.columns)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=40)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT), max_size=5))
def test_the_quarantine_comes_back_whatever_the_names(rows):
    folder = workspace() / "runs" / "x"
    run = Run(folder)
    run.save_tables(images_table([], [], []), pd.DataFrame(rows, columns=NOTHING.columns))
    found = run.quarantine
    assert list(found.itertuples(index=False, name=None)) == rows


def test_missing_and_damaged_tables_are_refused():
    run = made()
    for name in ("images.parquet", "quarantine.csv"):
        for content in (None, b"", b'\xff\xfe\x00broken\n"'):
            if content is not None:
                (run.folder / name).write_bytes(content)
            with pytest.raises(UserError, match=name):
                _ = run.images if name == "images.parquet" else run.quarantine


def test_predictions_belong_to_a_split():
    run = made()
    with pytest.raises(UserError, match="no validation predictions"):
        run.predictions()
    table = make_predictions(["1"], ["1.jpg"], np.array([0]), np.array([[0.5, 0.5]]), ["a", "b"])
    save_predictions(run.predictions_path("test"), table)
    assert run.predictions("test").ids.to_pylist() == ["1"]
    with pytest.raises(UserError, match="no validation predictions"):
        run.predictions("valid")


def test_damaged_notes_of_pandas_in_the_images_table_are_not_needed():
    run = Run(workspace() / "runs" / "notes")
    run.save_tables(images_table(["1", "2"], ["train", "valid"], ["cat", None]), NOTHING)
    file, whole = run.folder / "images.parquet", run.images
    table = pq.read_table(file)
    for notes in (
        b"\xa0",
        b"{}",
        b'{"index_columns": [], "columns": [{}], "column_indexes": [{}]}',
    ):
        pq.write_table(table.replace_schema_metadata({b"pandas": notes}), file)
        assert run.images["id"].tolist() == whole["id"].tolist() == ["1", "2"]
