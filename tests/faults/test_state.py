"""What is kept survives a full disk, a kill at any moment, a second process and damage."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
import torchvision

from engine.cli.progress import Watcher
from engine.runs import files
from engine.runs.files import is_locked, read_json
from engine.runs.run import Run
from engine.runs.run_config import RunConfig, write_config
from engine.runs.run_list import list_runs, open_run
from tests.support.command_line import SMALL, UNWEIGHTED, Engine, snapshot
from tests.support.kills import check_whole
from tests.support.paths import ROOT
from tests.support.run_folders import set_keys
from tests.support.tiny_images import image_bytes, kaggle, put


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kaggle(tmp_path_factory.mktemp("state") / "data", train=8, test=3)


def fitted(engine: Engine, data: Path, *more: str) -> Run:
    said = engine("fit", data, *SMALL, *more, "--json")
    assert said.code == 0, said
    return open_run(json.loads(said.out)["run"])


def results(run: Run) -> dict[str, Any]:
    tables = {s: pq.read_table(run.predictions_path(s)).to_pydict() for s in ("valid", "test")}
    model = next(run.folder.glob("*.safetensors"))
    return {**tables, "model": hashlib.sha256(model.read_bytes()).hexdigest()}


# A full disk


class Disk:
    """A disk of one's own that can be filled: a small tmpfs, or where none may be, a pretence."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.full = folder, False
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
        self.real = (
            bool(shutil.which("mount"))
            and not subprocess.run(command, stderr=subprocess.DEVNULL).returncode
        )
        if not self.real:
            real = files.open_handle

            def open_handle(path: Path, flags: int) -> int:
                if self.full and flags & os.O_CREAT and Path(path).is_relative_to(folder):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real(path, flags)

            monkeypatch.setattr(files, "open_handle", open_handle)

    def fill(self) -> None:
        self.full = True
        if not self.real:
            return
        with open(self.folder / "filler", "wb", buffering=0) as file:
            for size in (2**20, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def empty(self) -> None:
        self.full = False
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        if self.real:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk", monkeypatch)
    monkeypatch.setenv("SECONDLOOK_HOME", str(made.folder / "workspace"))
    yield made
    made.close()


def when(monkeypatch: pytest.MonkeyPatch, stage: str, done: int, act: Callable[[], None]) -> None:
    """Act once, as soon as a command has reported so many of a stage."""
    acted = []

    def progress(self: Watcher, at: str, n: int, total: int) -> None:
        if at == stage and n >= done and not acted:
            acted.append(at)
            act()

    monkeypatch.setattr(Watcher, "progress", progress)


def test_a_full_disk_during_the_submission_keeps_the_earlier_ones(
    disk: Disk, engine: Engine, data: Path
) -> None:
    run = fitted(engine, data)
    out = disk.folder / "out.csv"
    assert engine("submit", "latest", "--out", out).code == 0
    kept, copy = snapshot(run.folder / "submissions"), out.read_bytes()
    disk.fill()
    said = engine("submit", "latest", "--lower", "0.2", "--upper", "0.8", "--out", out)
    assert "No space left" in said.refusal and ".csv" in said.refusal
    assert snapshot(run.folder / "submissions") == kept and out.read_bytes() == copy
    disk.empty()
    assert engine("submit", "latest", "--lower", "0.2", "--upper", "0.8", "--out", out).code == 0
    assert out.read_bytes() != copy


FULL = {  # what is being written: the choices, and the moment at which the disk becomes full
    "the cache": ((), "features", 1, "cache/features"),
    "the first checkpoint": (("--train", "all"), "train", 8, ""),
    "a later checkpoint": (("--train", "all", "--epochs", "4"), "train", 24, ""),
    "the status": ((), "predict", 0, "runs/"),
}


@pytest.mark.parametrize("what", FULL)
def test_a_full_disk_during_a_fit_is_said_and_the_fit_goes_on_with_space(
    what: str, disk: Disk, engine: Engine, data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    choices, stage, done, named = FULL[what]
    with monkeypatch.context() as patch:
        patch.setenv("SECONDLOOK_HOME", str(tmp_path / "unbroken"))
        unbroken = results(fitted(engine, data, *choices))
    with monkeypatch.context() as patch:
        when(patch, stage, done, disk.fill)
        refusal = engine("fit", data, *SMALL, *choices).refusal
    assert "No space left" in refusal and named in refusal and str(disk.folder) in refusal
    check_whole(disk.folder / "workspace")
    assert all(run.status.state in ("failed", "lost") for run in list_runs())
    disk.empty()
    run = fitted(engine, data, *choices)
    assert results(run) == unbroken and len(list_runs()) == 1


# A kill


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("train", "kills"), [("head", 6), ("all", 6)])
def test_a_fit_killed_at_random_moments_leaves_whole_files_and_ends_as_the_unbroken_one(
    train: str, kills: int, tmp_path: Path
) -> None:
    folder = kaggle(tmp_path / "data", train=16, test=4)
    command = [sys.executable, "-m", "tests.support.kills", str(folder), str(tmp_path), train]
    done = subprocess.run(
        [*command, str(kills), "0"], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] >= kills and found["files_checked"] > kills
    print(f"\n{train}: {found}")


def test_a_run_that_a_fit_makes_is_locked_before_anybody_can_see_it(
    engine: Engine, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def write(path: Path, config: RunConfig) -> None:
        write_config(path, config)
        state = read_json(path.parent / "status.json")["state"]
        seen.append((state, is_locked(path.parent / ".lock")))

    monkeypatch.setattr("engine.runs.run_list.write_config", write)
    fitted(engine, data)
    assert seen == [("running", True)]


# Two at once


def test_two_fits_on_one_cache_give_one_result_and_no_second_pass(
    tmp_path: Path, data: Path, workspace: Path
) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "engine", "fit", str(data), *SMALL, "--name", name, "--json"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for name in ("one", "two")
    ]  # fmt: skip
    ended = [child.communicate(timeout=120) for child in children]
    assert [(child.returncode, err) for child, (_, err) in zip(children, ended, strict=True)] == [
        (0, b"")
    ] * 2
    first, second = (json.loads(out) for out, _ in ended)
    assert first["run"] != second["run"]
    assert sorted([first["forward_passes"], second["forward_passes"]]) == [0, 19]
    assert results(open_run(first["run"])) == results(open_run(second["run"]))
    check_whole(workspace)


# Damage


def _flipped(path: Path, at: int = -5) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def _newer(path: Path) -> None:
    """Write the shard as a later version might, under a name that fits its content."""
    content = safetensors.torch.save(
        safetensors.torch.load(path.read_bytes()), {"format_version": "2"}
    )
    path.unlink()
    path.with_name(f"{hashlib.sha256(content).hexdigest()[:32]}.safetensors").write_bytes(content)


SHARDS: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "zero bytes": lambda path: path.write_bytes(b""),
    "bit-flipped": _flipped,
    "bit-flipped in its header": lambda path: _flipped(path, 12),
    "of another version": _newer,
    "something else": lambda path: path.write_bytes(image_bytes("cat")),
}


@pytest.mark.parametrize("damage", SHARDS)
def test_a_damaged_shard_is_found_rebuilt_and_said(
    damage: str, engine: Engine, data: Path, workspace: Path
) -> None:
    first = results(fitted(engine, data))
    (shard,) = (workspace / "cache" / "features").rglob("*.safetensors")
    SHARDS[damage](shard)
    said = engine("fit", data, *SMALL, "--json")
    assert said.code == 0
    assert said.err.count("\n") == 1 and "computed again" in said.err
    assert str(shard.parent) in said.err
    again = json.loads(said.out)
    assert again["forward_passes"] == 19 and results(open_run(again["run"])) == first
    said = engine("fit", data, *SMALL, "--json")
    assert json.loads(said.out)["forward_passes"] == 0 and said.err == ""


class Trap:
    """Unpickled, it would leave a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.bin", "weights.pkl"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_is_refused_and_not_run(
    name: str, zipped: bool, engine: Engine, data: Path, tmp_path: Path, workspace: Path
) -> None:
    marker, path = tmp_path / "run", tmp_path / name
    payload = {"classifier.1.weight": torch.zeros(2), "trap": Trap(marker)}
    if zipped:
        torch.save(payload, path)
    else:
        path.write_bytes(pickle.dumps(payload))
    said = engine("fit", data, *UNWEIGHTED, "--weights", path)
    assert str(path) in said.refusal and not marker.exists()
    assert not (workspace / "runs").exists() or not [
        run for run in list_runs() if run.status.state == "done"
    ]
    pickle.loads(pickle.dumps(Trap(marker)))
    assert marker.exists()  # it works where code is run


def _weights(name: str, **options: Any) -> dict[str, torch.Tensor]:
    return dict(torchvision.models.get_model(name, weights=None, **options).state_dict())


def test_weights_of_another_architecture_or_damaged_ones_are_refused(
    engine: Engine, data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(_weights("resnet18"), path)
    said = engine("fit", data, *UNWEIGHTED, "--weights", path)
    assert f"{path} does not fit squeezenet1_1" in said.refusal
    safetensors.torch.save_file(_weights("squeezenet1_1"), path)
    _flipped(path, 40)
    assert str(path) in engine("fit", data, *UNWEIGHTED, "--weights", path).refusal
    put(path, b"")
    assert str(path) in engine("fit", data, *UNWEIGHTED, "--weights", path).refusal


@pytest.mark.parametrize("train", ["head", "all"])
def test_bit_flipped_weights_of_a_run_are_refused(train: str, engine: Engine, data: Path) -> None:
    run = fitted(engine, data, "--train", train)
    path = run.folder / {"head": "head.safetensors", "all": "model.safetensors"}[train]
    whole = path.read_bytes()
    _flipped(path)
    said = engine("predict", run.name)
    assert f"{path} is damaged: its checksum" in said.refusal
    path.write_bytes(whole)
    assert engine("predict", run.name).code == 0


def test_a_run_whose_model_does_not_fit_its_config_is_refused(engine: Engine, data: Path) -> None:
    run = fitted(engine, data)
    config = read_json(run.folder / "config.json")
    for changed in (
        {"class_names": ["cat", "dog", "fox"]},
        {"backbone": "resnet50"},
        {"backbone": "no_such_network"},
        {"backbone": None},
        {"train": "all"},
    ):
        set_keys(run, **{**config, **changed})
        said = engine("predict", run.name)
        assert said.refusal, changed
    set_keys(run, **config)
    assert engine("predict", run.name).code == 0


def test_a_run_of_a_newer_version_is_refused_and_hinders_no_other(
    engine: Engine, data: Path
) -> None:
    old, new = fitted(engine, data), fitted(engine, data, "--seed", "1")
    path = new.folder / "config.json"
    path.write_text(json.dumps({**read_json(path), "format_version": 2}))
    before = snapshot(new.folder)
    for command in ("report", "clip", "submit", "predict"):
        refusal = engine(command, new.name).refusal
        assert str(new.folder) in refusal and "update Second Look" in refusal
    said = engine("runs", "--json")
    states = {line["run"]: line["status"] for line in json.loads(said.out)}
    assert said.code == 0 and states == {old.name: "done", new.name: "damaged"}
    third = fitted(engine, data, "--seed", "2")
    assert snapshot(new.folder) == before and third.name not in (old.name, new.name)
