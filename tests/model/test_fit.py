"""A fit leaves what the design promises, goes on after a kill, and repeats bit by bit."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from sklearn.metrics import accuracy_score, log_loss

from engine.errors import Cancelled, UserError
from engine.model import fit_inputs, training
from engine.model.fit import FitOptions, FitResult, fit
from engine.runs.fit_defaults import checked_options, with_epochs
from engine.runs.run import Run
from engine.runs.run_list import list_runs
from engine.runs.run_results import ImageCounts
from tests.support.run_folders import run_with
from tests.support.small_fits import (
    fit_and_kill,
    home,
    run_folders,
    small_fit,
    small_options,
    tables,
)
from tests.support.tiny_images import image_bytes, image_folder, kaggle, put


def _contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 40 labelled and 10 unlabelled images; of the latter, 2 cannot be decoded."""
    folder = kaggle(tmp_path_factory.mktemp("data"), train=21, test=8)
    whole = image_bytes("cat", 77, size=(300, 200))
    put(folder / "train" / "cat.77.jpg", whole[: len(whole) // 2])
    put(folder / "train" / "dog.77.jpg", b"")
    put(folder / "test" / "77.jpg", whole[: len(whole) // 2])
    return folder


def _fitted(data: Path, workspace: Path, **changes: Any) -> FitResult:
    with home(workspace):
        return small_fit(data, **changes)


@pytest.fixture(scope="module")
def of_head(data, tmp_path_factory) -> FitResult:
    return _fitted(data, tmp_path_factory.mktemp("head"), name="of head")


@pytest.fixture(scope="module")
def of_all(data, tmp_path_factory) -> FitResult:
    return _fitted(data, tmp_path_factory.mktemp("all"), train="all")


@pytest.mark.parametrize("kind", ["head", "all"])
def test_a_run_folder_holds_what_the_design_says(kind, request):
    result: FitResult = request.getfixturevalue(f"of_{kind}")
    run = result.run
    model = "head.safetensors" if kind == "head" else "model.safetensors"
    there = {p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*") if p.is_file()}
    drawn = {"map-pca.parquet", "directions.parquet"} if kind == "head" else set()
    assert there - {".lock"} - drawn == {
        "config.json", "environment.json", "status.json", "log.jsonl", "images.parquet",
        "quarantine.csv", model, "predictions/valid.parquet", "predictions/test.parquet",
    }  # fmt: skip
    assert drawn <= there

    config = json.loads((run.folder / "config.json").read_text())
    assert config["format_version"] == 1
    assert {
        "created", "backbone", "weights", "train", "epochs", "batch_size", "lr", "image_size",
        "valid", "sample", "seed", "device", "precision", "preprocessing", "class_names", "data",
        "root", "n", "fingerprint",
    } <= config.keys()  # fmt: skip
    assert config["weights"].keys() >= {"source", "sha256"}
    assert config["class_names"] == ["cat", "dog"] and config["epochs"] == 3
    digest = hashlib.sha256((run.folder / model).read_bytes()).hexdigest()
    assert config["head_sha256"] == digest
    with safe_open(run.folder / model, "pt") as file:
        assert file.metadata()["format_version"] == "1"

    environment = json.loads((run.folder / "environment.json").read_text())
    assert environment["torch"] == torch.__version__
    assert environment["seconds"].keys() >= {"total", "features", "fit", "predict"}
    assert environment["images_per_second"] > 0
    assert environment.keys() >= {"python", "torchvision", "device", "precision"}

    status = json.loads((run.folder / "status.json").read_text())
    assert (status["state"], status["pid"]) == ("done", os.getpid())

    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == ([0] if kind == "all" else []) + [1, 2, 3]
    keys = {"loss", "accuracy", "valid_loss", "valid_accuracy", "seconds"}
    assert all(keys <= line.keys() for line in lines)

    images = pd.read_parquet(run.folder / "images.parquet")
    assert list(images.columns) == [
        "id", "path", "split", "label", "width", "height", "bytes", "sha256", "group", "fold",
    ]  # fmt: skip
    assert images["split"].value_counts().to_dict() == {"train": 34, "valid": 8, "test": 8}
    assert images.loc[images["split"] == "test", "label"].isna().all()
    quarantine = pd.read_csv(run.folder / "quarantine.csv")
    assert list(quarantine.columns)[:2] == ["path", "reason"]


@pytest.mark.parametrize("kind", ["head", "all"])
def test_its_tables_hold_what_its_summary_says(kind, request):
    result: FitResult = request.getfixturevalue(f"of_{kind}")
    valid, test = tables(result.run)["valid"], tables(result.run)["test"]
    for table in (valid, test):
        assert table.column_names == ["id", "path", "label", "p_cat", "p_dog"]
        assert [str(table.schema.field(name).type) for name in ("p_cat", "p_dog")] == ["double"] * 2
        p = table.select(["p_cat", "p_dog"]).to_pandas().to_numpy()
        assert (np.abs(p.sum(axis=1) - 1) < 1e-12).all()
    y = valid["label"].to_pylist()
    assert set(y) == {"cat", "dog"} and test["label"].null_count == len(test) == 8
    assert set(test["id"].to_pylist()) == {str(n) for n in range(1, 9)}
    p = valid.select(["p_cat", "p_dog"]).to_pandas().to_numpy()
    summary = result.summary()
    assert summary["valid"]["log_loss"] == pytest.approx(log_loss(y, p), rel=1e-9)
    hits = accuracy_score(y, np.array(["cat", "dog"])[p.argmax(axis=1)])
    assert summary["valid"]["accuracy"] == hits
    assert summary["n"] == {"train": 34, "valid": 8, "test": 8, "quarantined": 3}
    assert summary["run"] == result.run.name
    assert summary["forward_passes"] == {"head": 50, "all": 16}[kind]
    assert summary["seconds"].keys() >= {"total", "features", "fit", "predict"}
    assert summary["seconds"]["total"] >= summary["seconds"]["features"] > 0
    assert summary["images_per_second"] > 0


def test_the_lines_of_the_last_epoch_agree_with_the_predictions(of_head, of_all):
    assert of_head.run.epochs[-1]["valid_loss"] == pytest.approx(of_head.log_loss, rel=1e-6)
    best = min(line["valid_loss"] for line in of_all.run.epochs)
    assert best == pytest.approx(of_all.log_loss, rel=1e-2)  # features are kept in float16


def test_a_whole_network_starts_from_the_fitted_head_and_is_never_worse(of_head, of_all):
    first, *others = of_all.run.epochs
    assert first["epoch"] == 0 and len(others) == 3
    assert first["accuracy"] > 0.5 and first["loss"] < np.log(2)
    assert of_all.log_loss <= first["valid_loss"] + 1e-3
    same = [result.run.images.set_index("path")["split"].to_dict() for result in (of_head, of_all)]
    assert same[0] == same[1]


def test_bad_images_are_quarantined_with_their_reason_and_split(of_head):
    quarantine = of_head.run.quarantine.set_index("path")
    assert set(quarantine.index) == {"train/cat.77.jpg", "train/dog.77.jpg", "test/77.jpg"}
    assert quarantine.loc["train/dog.77.jpg", "reason"] == "the file is empty"
    assert "cut short" in quarantine.loc["train/cat.77.jpg", "reason"]
    assert "cut short" in quarantine.loc["test/77.jpg", "reason"]
    assert quarantine.loc["test/77.jpg", ["split", "id"]].tolist() == ["test", "77"]
    assert not set(of_head.run.images["path"]) & set(quarantine.index)


def test_the_source_is_only_read_and_nothing_is_pickled(tmp_path, workspace, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was written")

    monkeypatch.setattr(torch, "save", refuse)
    folder = kaggle(tmp_path / "data")
    before = _contents(folder)
    small_fit(folder)
    small_fit(folder, train="all", epochs=1)
    assert _contents(folder) == before
    kinds = {path.suffix for path in workspace.rglob("*") if path.is_file()}
    assert kinds - {""} <= {".json", ".jsonl", ".csv", ".parquet", ".safetensors", ".lock"}


def test_a_second_fit_with_other_choices_passes_no_image_again(tmp_path, workspace):
    folder = kaggle(tmp_path / "data")
    first = small_fit(folder)
    second = small_fit(folder, lr=0.02, epochs=5)
    assert (first.forward_passes, second.forward_passes) == (16, 0)
    assert len(run_folders(workspace)) == 2
    assert not tables(first.run)["valid"].equals(tables(second.run)["valid"])
    put(folder / "test" / "99.jpg", image_bytes("dog", 99))
    assert small_fit(folder).forward_passes == 1


@pytest.mark.parametrize("train", ["head", "all"])
def test_the_same_seed_repeats_bit_by_bit_and_another_differs(
    train, data, of_head, of_all, tmp_path
):
    first = {"head": of_head, "all": of_all}[train]
    again = _fitted(data, tmp_path / "again", train=train)
    other = _fitted(data, tmp_path / "other", train=train, seed=1, weights="none")
    assert all(
        tables(again.run)[split].equals(tables(first.run)[split]) for split in ("valid", "test")
    )
    assert not tables(other.run)["test"].equals(tables(first.run)["test"])


def test_a_finished_fit_is_not_taken_up_again(tmp_path, workspace):
    folder = kaggle(tmp_path / "data")
    first, second = small_fit(folder), small_fit(folder)
    assert first.run.name != second.run.name
    assert tables(first.run)["valid"].equals(tables(second.run)["valid"])


def test_sample_rehearses_with_200_and_50(tmp_path):
    folder = kaggle(tmp_path / "data", train=140, test=3)
    result = small_fit(folder, sample=True)
    assert result.n == ImageCounts(train=200, valid=50, test=3)
    assert result.forward_passes == 253


def test_valid_images_of_its_own_are_taken_and_exclude_the_option(tmp_path):
    folder = image_folder(tmp_path / "data", train=6, valid=3, test=2)
    result = small_fit(folder)
    assert result.n == ImageCounts(train=12, valid=6, test=4)
    assert set(result.run.images.query("split == 'valid'")["path"].str[:6]) == {"valid/"}
    with pytest.raises(UserError, match="valid=4 cannot be used"):
        small_fit(folder, valid=4)


def test_a_class_whose_images_are_all_bad_is_refused_by_its_folder(tmp_path, workspace):
    folder = kaggle(tmp_path / "data", train=8, test=0)
    whole = image_bytes("dog", 1, size=(300, 200))
    for path in sorted((folder / "train").glob("dog.*")):
        path.write_bytes(whole[: -400 - len(path.name)])
    with pytest.raises(UserError, match=f"{folder}: too few train images"):
        small_fit(folder)
    (run,) = list_runs()
    assert run.status.state == "failed" and "too few train" in run.status.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backbone": "vgg"}, "backbone='vgg' "),
        ({"weights": "/nowhere/weights.pth"}, "weights='/nowhere/weights.pth'"),
        ({"train": "neck"}, "train='neck'"),
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": -3}, "epochs=-3"),
        ({"lr": 0.0}, "lr=0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"image_size": 8}, "image_size=8"),
        ({"valid": 0}, "valid=0"),
        ({"valid": 12}, "valid=12"),
        ({"device": "tpu"}, "device='tpu'"),
        ({"precision": "int8"}, "precision='int8'"),
    ],
)
def test_impossible_choices_are_refused_before_a_run_is_made(changes, said, tmp_path, workspace):
    folder = kaggle(tmp_path / "data", train=6, test=0)
    with pytest.raises(UserError, match=said):
        small_fit(folder, **changes)
    assert not (workspace / "runs").exists()


def test_missing_images_are_said_before_any_weights_are_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_inputs, "find_weights", lambda *_: pytest.fail("weights were fetched"))
    with pytest.raises(UserError, match=f"{tmp_path}/nowhere does not exist"):
        fit(FitOptions(tmp_path / "nowhere"))


def test_a_size_the_network_cannot_read_is_refused_by_its_option(tmp_path):
    folder = kaggle(tmp_path / "data")
    for train in ("head", "all"):
        with pytest.raises(UserError, match="image_size=32 cannot be used with alexnet"):
            small_fit(folder, backbone="alexnet", train=train)


@pytest.mark.parametrize("train", ["head", "all"])
def test_a_cancelled_fit_says_so_and_goes_on_when_started_again(
    train, data, of_head, of_all, workspace
):
    asked: list[str] = []

    def cancel(stage: str, done: int, total: int) -> None:
        if stage == {"head": "features", "all": "predict"}[train]:  # after the last epoch
            for run in list_runs():
                asked.append(stage)
                (run.folder / "cancel").touch()

    with pytest.raises(Cancelled):
        small_fit(data, train=train, callbacks={"progress": cancel})
    (run,) = list_runs()
    assert asked and run.status.state == "cancelled"
    passed: list[str] = []
    result = small_fit(data, train=train, callbacks={"progress": lambda s, *_: passed.append(s)})
    assert result.run.folder == run.folder and run.status.state == "done"
    assert not run.cancel_requested
    assert ("train" in passed) == (train == "head")  # the network is trained already
    unbroken = tables({"head": of_head, "all": of_all}[train].run)
    assert all(tables(run)[split].equals(table) for split, table in unbroken.items())


def test_a_queued_run_that_was_cancelled_meanwhile_does_not_start(data):
    run = run_with("squeezenet1_1", {"data": str(data)})
    (run.folder / "cancel").touch()
    with pytest.raises(Cancelled):
        small_fit(data, callbacks={"run": run})
    assert run.status.state == "cancelled"


def test_a_queued_run_is_filled(data, of_head):
    run = run_with("squeezenet1_1", {"data": str(data), "request": {}})
    result = small_fit(data, callbacks={"run": run})
    assert result.run == run and run.status.state == "done"
    assert tables(run)["valid"].equals(tables(of_head.run)["valid"])


def test_a_queued_run_that_is_refused_says_why(tmp_path):
    run = run_with("squeezenet1_1", {"data": str(tmp_path)})
    with pytest.raises(UserError):
        small_fit(tmp_path / "nothing", callbacks={"run": run})
    assert run.status.state == "failed" and "nothing does not exist" in run.status.message


def test_a_failed_fit_says_why_and_is_taken_up_again(data, of_head, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise MemoryError("no memory left")

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_head", fail)
        with pytest.raises(MemoryError):
            small_fit(data)
    (run,) = list_runs()
    assert (run.status.state, run.status.message) == ("failed", "no memory left")
    assert not run.predictions_path("valid").exists()
    result = small_fit(data)
    assert result.run == run and result.forward_passes == 0
    assert tables(run)["test"].equals(tables(of_head.run)["test"])


def test_an_interruption_from_the_keyboard_leaves_a_cancelled_run(data):
    def interrupt(stage: str, *_: int) -> None:
        if stage == "features":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small_fit(data, callbacks={"progress": interrupt})
    (run,) = list_runs()
    assert run.status.state == "cancelled"


def test_a_run_that_another_process_writes_is_refused(data, monkeypatch):
    run = run_with("squeezenet1_1", {"data": str(data)})
    with Run(run.folder).held() as mine, pytest.raises(UserError, match=f"{run.name} is being"):
        assert mine
        small_fit(data, callbacks={"run": run})


@pytest.mark.parametrize(
    ("train", "stage", "done", "passes"),
    # Of the 16 images in the first shard, one cannot be decoded: 50 - 15 are left to pass.
    [("head", "features", 32, 35), ("all", "train", 80, 16)],
)
def test_a_killed_fit_started_again_ends_as_the_unbroken_one(
    train, stage, done, passes, data, of_head, of_all, workspace
):
    fit_and_kill(data, workspace, stage, done, train=train)
    (killed,) = list_runs()
    assert killed.status.state == "lost"
    trained: list[int] = []

    def watch(at: str, done: int, total: int) -> None:
        if at == "train":
            trained.append(done)

    result = small_fit(data, train=train, callbacks={"progress": watch})
    assert result.run == killed and len(run_folders(workspace)) == 1
    assert result.forward_passes == passes
    # Of 3 epochs of 32 images, two were whole; the passes of a head are not counted.
    assert trained[:1] == ([72] if stage == "train" else [0])
    unbroken = {"head": of_head, "all": of_all}[train]
    assert all(tables(killed)[s].equals(t) for s, t in tables(unbroken.run).items())
    without_time = [{k: v for k, v in e.items() if k != "seconds"} for e in killed.epochs]
    assert without_time == [
        {k: v for k, v in e.items() if k != "seconds"} for e in unbroken.run.epochs
    ]


def _all_threads(run: Any) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        return run()
    finally:
        torch.set_num_threads(before)


def _first_of_each(source: Path, folder: Path, patterns: Iterable[str], n: int) -> Path:
    """Copy the first images that fit each pattern."""
    for pattern in patterns:
        for path in sorted(source.glob(pattern))[:n]:
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return folder


def test_photographs_of_cats_and_dogs_reach_the_figures_of_the_design(real_data, tmp_path):
    """The whole set is a benchmark; a third of it keeps the suite short."""
    classes = ("train/cat.*", "train/dog.*")
    data = _first_of_each(real_data / "dogs-vs-cats", tmp_path / "data", classes, 240)
    weights = real_data / "weights" / "mobilenet_v2.safetensors"
    result = _all_threads(
        lambda: fit(FitOptions(data, backbone="mobilenet_v2", weights=str(weights), valid=120))
    )
    assert result.n == ImageCounts(train=360, valid=120)
    assert result.accuracy >= 0.975 and result.log_loss <= 0.07


def test_photographs_of_five_flowers_are_told_apart(real_data, tmp_path):
    flowers = [f"train/{name}/*" for name in os.listdir(real_data / "flowers" / "train")]
    data = _first_of_each(real_data / "flowers", tmp_path / "data", flowers, 40)
    weights = real_data / "weights" / "mobilenet_v2.safetensors"
    result = _all_threads(
        lambda: fit(FitOptions(data, backbone="mobilenet_v2", weights=str(weights)))
    )
    assert result.run.class_names == ("daisy", "dandelion", "rose", "sunflower", "tulip")
    assert result.n == ImageCounts(train=160, valid=40, test=0)
    table = pq.read_table(result.run.predictions_path("valid"))
    assert table.column_names[3:] == [f"p_{name}" for name in result.run.class_names]
    assert pd.Series(table["label"].to_pylist()).value_counts().eq(8).all()
    assert not result.run.predictions_path("test").exists()
    assert result.accuracy >= 0.8 and result.log_loss <= 0.6


def test_default_options_are_the_designs():
    options = checked_options(small_options(Path("data"), lr=None, epochs=None))
    assert FitOptions(Path("data")).backbone == ("vgg16",)
    assert with_epochs(options, 23_000).epochs is None and options.lr is None  # solved, not trained
    by_epochs = checked_options(small_options(Path("data"), lr=3e-3, epochs=None))
    assert with_epochs(by_epochs, 23_000).epochs == 30
    of_all = checked_options(small_options(Path("data"), train="all", epochs=None))
    assert with_epochs(of_all, 23_000).epochs == 10
