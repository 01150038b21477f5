"""Folders, lists and archives that are broken or hostile, through the command line."""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data import archives
from engine.runs.run_list import list_runs, open_run
from tests.support.command_line import SMALL, Engine, snapshot
from tests.support.tiny_images import TWO, image_bytes, image_folder, kaggle, put, zipped

Pack = Callable[[Path], None]


def test_clutter_is_ignored_and_counted(engine: Engine, tmp_path: Path) -> None:
    data = kaggle(tmp_path / "data")
    for name in ("train/Thumbs.db", "train/.DS_Store", "test/desktop.ini", "test/._1.jpg"):
        put(data / name, b"x")
    put(data / "train" / "__MACOSX" / "cat.9.jpg", image_bytes("cat", 9))
    before = snapshot(data)
    said = engine("fit", data, *SMALL, "--json")
    assert said.code == 0
    assert json.loads(said.out)["n"] == {"train": 10, "valid": 2, "test": 4, "quarantined": 0}
    assert open_run("latest").config.ignored == 5
    assert snapshot(data) == before


def test_names_of_all_kinds(engine: Engine, tmp_path: Path) -> None:
    data = kaggle(tmp_path / "data")
    names = [
        "café.1",
        "猫.2",
        "line\nbreak.3",
        "a,b.4",
        '"quoted".5',
        "-n.6",
        " space .7",
        "e\u0301.8",
    ]
    for number, name in enumerate(names):
        put(data / "test" / f"{name}.jpg", image_bytes("cat", 50 + number))
    put(data / "test" / os.fsdecode(b"\xff\xfe.9.jpg"), image_bytes("cat", 60))
    said = engine("fit", data, *SMALL, "--json")
    assert said.code == 0 and json.loads(said.out)["n"]["test"] == 4 + len(names)
    run = open_run("latest")
    (bad,) = run.quarantine.to_dict("records")
    assert bad["path"] == r"test/\udcff\udcfe.9.jpg" and "not UTF-8" in bad["reason"]
    assert {*names} < {*run.predictions("test").ids.to_pylist()}
    out = tmp_path / "out.csv"
    assert engine("submit", "latest", "--out", out, "--json").code == 0
    assert '"line\nbreak.3",' in out.read_text() and "\n-n.6," in out.read_text()
    for command in ("report", "clip", "runs"):
        assert engine(command, *(["latest"] if command != "runs" else [])).code == 0


def test_an_unknown_label_is_quarantined(engine: Engine, tmp_path: Path) -> None:
    data = image_folder(tmp_path / "data", train=8, valid=3, test=0)
    put(data / "valid" / "bird" / "1.jpg", image_bytes("bird", 1))
    put(data / "train" / "unsorted.jpg", image_bytes("cat", 400))
    said = engine("fit", data, *SMALL, "--json")
    assert said.code == 0 and json.loads(said.out)["n"]["quarantined"] == 2
    run = open_run("latest")
    reasons = run.quarantine.set_index("path")["reason"]
    assert "unknown label: no train image is 'bird'" in reasons["valid/bird/1.jpg"]
    assert "no label" in reasons["train/unsorted.jpg"]
    assert run.class_names == ("cat", "dog")


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda data: None, "does not exist"),
    "empty": (lambda data: data.mkdir(), "holds no images"),
    "a single class": (lambda data: kaggle(data, classes=("cat",)), "one class only, 'cat'"),
    "no labels": (lambda data: put(data / "train" / "a.jpg", image_bytes("cat")), "no labelled"),
    "all bad": (lambda data: [put(data / "train" / f"{c}.1.jpg", b"") for c in TWO], "no labelled"),
    "an image": (
        lambda data: put(data, image_bytes("cat")),
        "give a folder, a CSV, a zip or a tar",
    ),
    "a fifo": (lambda data: os.mkfifo(data), "give a folder, a CSV, a zip or a tar"),
    "a device": (lambda data: data.symlink_to("/dev/zero"), "give a folder, a CSV, a zip or a tar"),
    "a link in a circle": (lambda data: data.symlink_to(data), "levels of symbolic links"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_holds_nothing_to_fit_is_refused(
    name: str, engine: Engine, tmp_path: Path, workspace: Path
) -> None:
    make, what = FOLDERS[name]
    make(tmp_path / "data")
    said = engine("fit", tmp_path / "data", *SMALL)
    assert str(tmp_path / "data") in said.refusal and what in said.refusal
    assert not (workspace / "runs").exists()


LISTS = {
    "no header": (b"a.jpg,cat\n", "needs a column with the images' paths"),
    "no rows": (b"path,label\n", "lists no image"),
    "nothing": (b"", "cannot be read as a CSV"),
    "binary": (image_bytes("cat"), "cannot be read as a CSV"),
    "UTF-16": ("path,label\na.jpg,cat\n".encode("utf-16"), "images.csv"),
    "ragged": (b"path,label\na.jpg\nb.jpg,cat,1,2\n", "cannot be read as a CSV"),
    "a path twice": (b"path,label\na.jpg,cat\na.jpg,dog\n", "more than once: 'a.jpg'"),
    "a strange split": (b"path,label,split\na.jpg,cat,nowhere\n", "'nowhere'"),
    "no path": (b"path,label\n,cat\n", "no path in row '1'"),
    "none there": (b"path,label\na.jpg,cat\nb.jpg,dog\n", "no labelled image"),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_cannot_be_used_is_refused(name: str, engine: Engine, tmp_path: Path) -> None:
    content, what = LISTS[name]
    said = engine("fit", put(tmp_path / "images.csv", content), *SMALL)
    assert "images.csv" in said.refusal and what in said.refusal


@pytest.mark.parametrize("what", ["train", "train/cat", "test"])
def test_an_unreadable_folder_is_refused(
    what: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image_folder(tmp_path / "data")
    closed = data / what
    real = os.scandir

    def scandir(path: str | os.PathLike[str] = ".") -> object:  # root may read everything
        if Path(os.fspath(path)) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    said = engine("fit", data, *SMALL)
    assert str(closed) in said.refusal and "Permission denied" in said.refusal


# Archives: each is written as train.zip; what is refused leaves nothing behind.


def _members(*names: str, content: bytes | None = None) -> Pack:
    def pack(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, image_bytes("cat", 1) if content is None else content)

    return pack


def _link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("train/cat.0.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")


def _twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        _members("train/cat.0.jpg", "train/cat.0.jpg")(path)


def _whole(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for label in TWO:
            for n in range(6):
                archive.writestr(f"train/{label}.{n}.jpg", image_bytes(label, n))


def _truncated(path: Path) -> None:
    _whole(path)
    path.write_bytes(path.read_bytes()[:-300])


def _bad_crc(path: Path) -> None:
    _whole(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 16] ^= 0xFF  # CRC-32 in the central directory
    path.write_bytes(content)


def _declared_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(8):
            archive.writestr(f"train/cat.{n}.jpg", bytes(20 * 2**20))


def _lying_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/cat.0.jpg", bytes(50 * 2**20))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 1000)  # the declared size
    path.write_bytes(content)


ARCHIVES: dict[str, tuple[Pack, str]] = {
    "leaves its folder": (
        _members("train/../../../escaped.jpg"),
        "would be written outside its folder",
    ),
    "an absolute name": (_members("/tmp/escaped.jpg"), "would be written outside its folder"),
    "a backslash": (_members("..\\escaped.jpg"), "would be written outside its folder"),
    "a link": (_link, "is a link"),
    "a name twice": (_twice, "occurs twice"),
    "names alike but for case": (_members("train/cat.0.jpg", "train/CAT.0.jpg"), "occurs twice"),
    "truncated": (_truncated, "is damaged"),
    "a wrong CRC": (_bad_crc, "is damaged"),
    "a declared bomb": (_declared_bomb, "would grow to"),
    "a bomb that lies": (_lying_bomb, "train.zip"),
    "no archive": (lambda path: path.write_bytes(b"PK no"), "is damaged"),
    "nothing": (lambda path: path.write_bytes(b""), "is damaged"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_bad_archive_is_refused_and_writes_nothing_outside(
    name: str, engine: Engine, tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 100 * 2**20)
    data = tmp_path / "data"
    data.mkdir()
    pack, what = ARCHIVES[name]
    pack(data / "train.zip")
    before = snapshot(data)
    said = engine("fit", data, *SMALL)
    assert str(data / "train.zip") in said.refusal and what in said.refusal
    assert snapshot(data) == before
    kept = [path for path in workspace.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert [path for path in kept if path.parent.name != "backbones"] == []  # torchvision's words
    assert not list(tmp_path.rglob("escaped*")) and not Path("/tmp/escaped.jpg").exists()


def test_a_damaged_archive_leaves_what_was_unpacked_before(
    engine: Engine, tmp_path: Path, workspace: Path
) -> None:
    data = zipped(kaggle(tmp_path / "data"))
    assert engine("fit", data, *SMALL).code == 0
    cache = workspace / "cache" / "archives"
    before, runs = snapshot(cache), [run.name for run in list_runs()]
    _truncated(data / "train.zip")
    assert "train.zip is damaged" in engine("fit", data, *SMALL).refusal
    assert {**snapshot(cache), **before} == {**before, **snapshot(cache)}
    assert [run.name for run in list_runs()] == runs
    zipped(kaggle(data))
    said = engine("fit", data, *SMALL, "--json")
    assert said.code == 0 and json.loads(said.out)["forward_passes"] == 0


def test_what_is_no_data_is_refused_before_any_weights_are_fetched(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("engine.model.fit_inputs.find_weights", lambda *given: asked.append(given))
    (tmp_path / "README.md").write_text("# Not an image\n")
    assert "give a folder, a CSV, a zip or a tar" in engine("fit", tmp_path / "README.md").refusal
    assert asked == []
