"""Triage and refit on tiny images with planted faults, from the files to the measured change."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.neighbors import NearestNeighbors

from engine.data.dataset import load_dataset
from engine.data.label_edits import apply_label_edits
from engine.errors import UserError
from engine.model.device import choose_device
from engine.model.fit import FitResult
from engine.model.triage import _nearest, triage
from engine.runs.predictions import UNKNOWN
from engine.runs.run import OUT_OF_FOLD, Run
from engine.runs.triage import (
    COLUMNS,
    load_triage,
    reviewed_split,
    triage_of,
    triage_path,
)
from engine.runs.verdicts import (
    HARD,
    NEITHER,
    WRONG,
    Verdict,
    save_verdict,
    undo_verdict,
    verdicts_path,
)
from tests.support.run_folders import run_with
from tests.support.small_fits import home, small_fit
from tests.support.tiny_images import image_bytes, kaggle, put

WRONG_IDS = ("dog.90", "cat.91", "dog.92")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 40 good images, 3 under the other's name, 1 of neither, and a leak into test."""
    folder = kaggle(tmp_path_factory.mktemp("data"), train=20, test=3)
    for id in WRONG_IDS:
        animal, number = id.split(".")
        other = "cat" if animal == "dog" else "dog"
        put(folder / "train" / f"{id}.jpg", image_bytes(other, int(number)))
    put(folder / "train" / "cat.95.jpg", image_bytes("tulip", 95))
    shutil.copy(folder / "train" / "cat.3.jpg", folder / "test" / "leak.jpg")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def fitted(data: Path, place: Path) -> FitResult:
    with home(place):
        return small_fit(data, valid=12, epochs=8)


@pytest.fixture(autouse=True)
def _here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_HOME", str(place))


@pytest.fixture
def judged(fitted: FitResult):
    """Say what is true of the planted images, in a file that is gone after the test."""
    images = fitted.run.images.set_index("id")
    for id in WRONG_IDS:
        save_verdict(
            Verdict(images.loc[id, "sha256"], WRONG, "cat" if id.startswith("dog") else "dog")
        )
    save_verdict(Verdict(images.loc["cat.95", "sha256"], NEITHER))
    save_verdict(Verdict(images.loc["cat.1", "sha256"], HARD, cause="scale"))
    yield images
    verdicts_path().unlink()


def test_planted_faults_come_first_with_a_reason_and_nothing_passes_twice(fitted, data):
    before = sorted(path.read_bytes() for path in data.rglob("*.jpg"))
    found = triage(fitted.run)
    assert sorted(path.read_bytes() for path in data.rglob("*.jpg")) == before
    assert list(found.columns) == COLUMNS
    labels = found[found["kind"] == "label"]
    assert set(labels.head(3)["id"]) == set(WRONG_IDS)
    assert set(found.head(5)["id"]) >= {*WRONG_IDS, "cat.95"}
    leak = found[found["kind"] == "leak"].iloc[0]
    assert (leak["id"], leak["score"]) == ("cat.3", pytest.approx(1, abs=1e-3))
    assert "the same file as test/leak.jpg in test" in leak["reason"]
    assert (np.diff(found["score"]) <= 0).all()
    pd.testing.assert_frame_equal(load_triage(fitted.run), found)

    made = fitted.run.predictions(OUT_OF_FOLD[1])
    assert len(made) == 44 and reviewed_split(fitted.run) == OUT_OF_FOLD[1]
    assert triage_of(fitted.run).state == ("done", "")


def test_the_nearest_are_those_of_scikit_learn():
    x = np.random.default_rng(0).normal(size=(700, 20)).astype(np.float32)
    centred = x - x.mean(axis=0)
    search = NearestNeighbors(n_neighbors=6, metric="cosine", algorithm="brute").fit(centred)
    want, _ = search.kneighbors()
    for precision in ("float32", "bfloat16"):
        rows, distances = _nearest(torch.from_numpy(x), 6, choose_device("cpu", precision))
        assert distances == pytest.approx(want, abs=1e-2 if precision == "bfloat16" else 1e-5)
        assert (rows != np.arange(700)[:, None]).all()


def test_a_run_without_a_model_or_a_list_is_refused_by_name(fitted, tmp_path):
    imported = run_with("imported", {"class_names": ["cat", "dog"], "root": str(tmp_path)})
    with pytest.raises(UserError, match=r"triage\.parquet does not exist"):
        load_triage(imported)
    with pytest.raises(UserError, match="no model"):
        triage(imported)
    triage_path(imported).write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match="damaged"):
        load_triage(imported)
    shutil.rmtree(imported.folder)


def test_in_a_process_of_its_own_it_says_why_it_failed(fitted, tmp_path):
    imported = run_with("imported", {"class_names": ["cat", "dog"], "root": str(tmp_path)})
    assert triage_of(imported).state == ("none", "")
    triage_of(imported).start(["triage", imported.name])
    assert triage_of(imported).state[0] == "running"
    _wait(imported)
    state, message = triage_of(imported).state
    assert state == "failed" and "no model" in message and "Error:" not in message
    _remove(imported.folder)


def _remove(folder: Path) -> None:
    """Remove the folder of a run whose process may still be writing its last file."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder} is still written to")


def _wait(run: Run) -> None:
    deadline = time.monotonic() + 60
    while triage_of(run).state[0] == "running" and time.monotonic() < deadline:
        time.sleep(0.1)


def test_verdicts_correct_a_data_set_and_leave_split_and_test_alone(judged, data):
    before = load_dataset(data, valid=12)
    after, made = apply_label_edits(before)
    assert asdict(made) == {"relabelled": 3, "dropped": 1}
    old, new = (d.images.set_index(["split", "id"]) for d in (before, after))
    assert set(old.index) - set(new.index) == {i for i in old.index if i[1] == "cat.95"}
    assert new["given"].equals(old.loc[new.index, "label"])
    labels = new["label"].dropna().droplevel("split")
    assert labels["dog.90"] == "cat" and labels["cat.91"] == "dog" and labels["cat.1"] == "cat"
    assert new.loc["test", "label"].isna().all()
    for row in judged["sha256"][[*WRONG_IDS, "cat.95", "cat.1"]]:
        undo_verdict(row)  # verdicts without a given label
    assert apply_label_edits(before)[0].fingerprint == before.fingerprint


def test_a_refit_is_measured_on_the_same_images_and_one_fixed_set_of_labels(judged, fitted, data):
    refit = small_fit(data, valid=12, epochs=8, verdicts=True)
    summary = refit.summary()
    assert summary["corrections"] == {"relabelled": 3, "dropped": 1}
    change = summary["change"]
    assert (change["against"], change["split"]) == (fitted.run.name, "valid")

    before, after = fitted.run.predictions(), refit.run.predictions()
    truth = {"dog.90": 0, "cat.91": 1, "dog.92": 0}
    ids = [i for i in before.ids.to_pylist() if i != "cat.95"]
    assert set(after.ids.to_pylist()) == set(ids)
    y = [truth.get(i, int(i.startswith("dog"))) for i in ids]
    for table, key in ((before, "log_loss_before"), (after, "log_loss_after")):
        rows = [table.ids.to_pylist().index(i) for i in ids]
        want = log_loss(y, table.probabilities[rows], labels=[0, 1])
        assert change[key] == pytest.approx(want)
    assert change["difference"] == pytest.approx(
        change["log_loss_before"] - change["log_loss_after"]
    )
    low, high = change["interval"]
    assert low <= change["difference"] <= high
    assert (after.y_true != UNKNOWN).all()

    again = small_fit(data, valid=12, epochs=8, verdicts=True, seed=5)  # nobody fitted that before
    assert again.summary()["change"] is None
