"""Two accounts and one workspace, folders outside, and what is swapped after it was checked."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from dashboard.gallery import tiles
from dashboard.shared import commands, tables, thumbnails
from dashboard.shared.tables import table
from dashboard.views.train import data as train_data
from engine.competition.records import list_submissions
from engine.data.thumbnails import Unreadable, thumbnail
from engine.errors import UserError
from engine.model.weights import find_weights, read_state
from engine.runs import files, jobs
from engine.runs.fit_options import FitOptions
from engine.runs.run_list import list_runs, open_run
from tests.support.hostile_runs import replaced
from tests.support.run_folders import set_keys
from tests.support.synthetic_runs import synthetic_run
from tests.support.tiny_images import put


def test_a_lock_that_another_account_keeps_to_itself_stops_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = synthetic_run(tmp_path, n=12, n_test=4, name="theirs", images=False)
    ours = synthetic_run(tmp_path, n=12, n_test=4, name="ours", images=False, seed=1)
    put(theirs.folder / ".lock", b"")
    theirs.set_status("running", stage="train", done=1, total=2)
    really = files.open_handle

    def refuse(path: Path, flags: int) -> int:
        if path == theirs.folder / ".lock":  # as the system does with a file of mode 0600
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return really(path, flags)

    monkeypatch.setattr(files, "open_handle", refuse)
    states = {summary.title: summary.state for summary in tables.summaries()}
    assert states == {"theirs": "running", "ours": "done"}
    assert jobs.progress_of(theirs).stage == "train"
    assert open_run("latest").name == ours.name and len(list_runs()) == 2


@pytest.fixture
def allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECONDLOOK_ROOTS", str(tmp_path / "data0"))
    return tmp_path / "data0"


def test_a_run_shows_no_image_outside_the_roots(tmp_path: Path, allowed: Path) -> None:
    run = synthetic_run(tmp_path, n=6, n_test=2, distinct=2)
    assert all(thumbnails.small(tiles.images_of(table(run.name), np.arange(2))))
    secret = put(tmp_path / "outside" / "train" / "image.0.jpg", b"secret")
    set_keys(run, root=str(tmp_path / "outside"))
    with pytest.raises(UserError, match="outside the folders that may be read here"):
        _ = run.data_root
    set_keys(run, root=str(allowed))
    (allowed / "train").rename(allowed / "before")  # swapped for a link after the check
    (allowed / "train").symlink_to(secret.parent)
    thumbnails._small.clear()
    shown = thumbnails.small([thumbnails.ImageFile(allowed / "train" / "image.0.jpg", "")])
    assert shown == [""]


def test_a_checksum_is_never_a_path(tmp_path: Path) -> None:
    secret = put(tmp_path / "secret.jpg", b"secret")
    run = synthetic_run(tmp_path, n=6, n_test=2, distinct=2)
    lies = run.images.assign(sha256=str(secret)[: -len(".jpg")])
    run.save_tables(lies, run.quarantine)
    with pytest.raises(UserError, match="sha256 has a value that is not a checksum"):
        _ = run.images
    with pytest.raises(UserError, match="not a checksum"):
        tiles.images_of(table(run.name), np.arange(1))
    with pytest.raises(Unreadable):
        thumbnail(secret, str(secret)[: -len(".jpg")])


def test_weights_that_were_swapped_after_the_check_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    found = find_weights("vgg16", str(path), 0)
    assert read_state(path, found.sha256)["a"].tolist() == [0, 0]
    safetensors.torch.save_file({"a": torch.ones(2)}, path)
    with pytest.raises(UserError, match="was changed after it was checked"):
        read_state(path, found.sha256)


def test_weights_are_named_to_the_fit_as_they_were_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "start_job", lambda run, arguments: None)
    run = commands.start_fit(FitOptions(str(tmp_path), weights="w.pth"))
    assert (run.config.request or {})["weights"] == str(tmp_path / "w.pth")


def test_the_times_of_all_folders_of_the_data_count(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, ns=(0, 10**18))
    os.utime(tmp_path, ns=(0, 2 * 10**18))
    before = train_data._changed(tmp_path)
    os.utime(tmp_path / "a", ns=(0, 5 * 10**17))  # older than the newest
    assert train_data._changed(tmp_path) != before


def test_a_record_of_the_wrong_kind_is_listed_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    for value in ({"kaggle": []}, {"lower": "low"}, {"kaggle": {"score": {}}}, {"created": 5}):
        replaced(folder / "a.json", lambda at, v=value: at.write_text(json.dumps(v)))
        (record,) = list_submissions(folder)
        assert record["file"] == "a.csv" and "is damaged" in record["reason"]
