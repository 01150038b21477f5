"""Files are opened with care: regular ones only, no waiting, no link within the workspace."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine import portable
from engine.errors import UserError
from engine.runs.files import (
    atomic_path,
    is_locked,
    locked,
    open_log,
    read_json,
    sha256_of,
    write_atomic,
)
from engine.runs.json_text import loads
from engine.runs.opening import is_file, is_folder, read_file, remove_file
from engine.runs.parquet_files import open_parquet
from engine.runs.roots import own_parts
from tests.support.tiny_images import put

STRANGE: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a link to a file": lambda path: path.symlink_to(put(path.parent / "other", b"{}")),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to(path.parent / "nothing"),
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_is_no_file_of_the_workspace_is_refused_at_once(what: str, workspace: Path) -> None:
    path = workspace / "runs" / "one" / "status.json"
    path.parent.mkdir(parents=True)
    STRANGE[what](path)
    assert not is_file(path)
    for read in (read_json, sha256_of):
        with pytest.raises(UserError, match=r"status\.json could not be read \(.+\)\.$"):
            read(path)


@pytest.mark.parametrize("step", ["cache", "cache/thumbnails", "cache/thumbnails/ab"])
def test_a_link_at_any_step_is_neither_read_nor_written(
    step: str, workspace: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    inner = Path("cache/thumbnails/ab/x.jpg").relative_to(step)
    secret = put(theirs / inner, b"secret")
    (workspace / step).parent.mkdir(parents=True, exist_ok=True)
    (workspace / step).symlink_to(theirs)
    path = workspace / "cache" / "thumbnails" / "ab" / "x.jpg"
    with pytest.raises(OSError, match="it is a link"):
        read_file(path)
    with pytest.raises(OSError, match="it is a link"):
        remove_file(path)
    with pytest.raises(UserError, match=r"could not be written \(it is a link"):
        write_atomic(path, b"new")
    with pytest.raises(UserError, match=r"could not be locked \(it is a link"), locked(path):
        pass
    assert not is_file(path) and not is_folder(path.parent) and is_locked(path) is None
    assert secret.read_bytes() == b"secret" and len(list(theirs.rglob("*.jpg"))) == 1


def test_windows_refuses_links_too(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable, "on_windows", lambda: True)
    put(tmp_path / "theirs" / "x", b"secret")
    workspace.mkdir(exist_ok=True)
    (workspace / "cache").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="it is a link"):
        read_file(workspace / "cache" / "x")
    with pytest.raises(UserError, match="it is a link"):
        write_atomic(workspace / "cache" / "x", b"new")
    assert (tmp_path / "theirs" / "x").read_bytes() == b"secret"


def test_elsewhere_links_are_followed(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(put(tmp_path / "image.jpg", b"image"))
    assert read_file(tmp_path / "link.jpg") == b"image" and is_file(tmp_path / "link.jpg")


def test_where_a_file_lies_is_checked_once_it_is_open(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = put(tmp_path / "allowed" / "a.jpg", b"ours")
    monkeypatch.setenv("SECONDLOOK_ROOTS", str(tmp_path / "allowed"))
    assert read_file(ours) == b"ours"
    (tmp_path / "allowed" / "in").symlink_to(put(tmp_path / "out" / "b.jpg", b"theirs").parent)
    for path in (tmp_path / "out" / "b.jpg", tmp_path / "allowed" / "in" / "b.jpg"):
        with pytest.raises(PermissionError, match="outside the folders that may be read here"):
            read_file(path)
    assert read_file(tmp_path / "out" / "b.jpg", anywhere=True) == b"theirs"
    put(workspace / "cache" / "x", b"kept")
    assert read_file(workspace / "cache" / "x") == b"kept"


def test_a_log_never_empties_another_file(workspace: Path, tmp_path: Path) -> None:
    diary = put(tmp_path / "diary.txt", b"dear diary")
    log = workspace / "runs" / "one" / "triage.log"
    log.parent.mkdir(parents=True)
    for link in (log.symlink_to, log.hardlink_to):
        link(diary)
        with pytest.raises(OSError, match="it is a link|it has a second name"):
            open_log(log, append=True)
        with open_log(log) as file:  # anew: the link goes, its target stays
            file.write(b"ours")
        assert log.read_bytes() == b"ours" and diary.read_bytes() == b"dear diary"
        log.unlink()


def test_a_larger_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "endless.jpg", b"")
    os.truncate(path, 2**40)  # holds nothing on the disk
    with pytest.raises(OSError, match="it has 1,099,511,627,776 bytes, more than"):
        read_file(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 100_000, "nested more than 64 deep"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "nested more than 64 deep"),
        (b'{"a": {"b": [1, -Infinity]}}', r"a\.b\.1 should be a number below 2\^63, not -inf"),
        (b'{"a": NaN}', "a should be a number"),
        (b'{"a": 1e999}', "a should be a number"),
        (b'{"a": %s}' % (b"9" * 400), "a should be a number"),
        (b'{"a": %s}' % (b"9" * 5000), "not valid JSON"),
        (b'{"a": "\\ud800"}', "a holds half a character"),
        (b"\xff", "not valid JSON"),
    ],
)
def test_json_that_no_page_can_show_is_refused_by_its_key(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        loads(content)


def test_a_small_parquet_file_that_declares_very_many_rows_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    zeros = pa.array(np.zeros(1_000_000, dtype=np.int8))
    schema = pa.schema([(name, pa.int8()) for name in "abcd"])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for _ in range(10):
            writer.write_table(pa.table([zeros] * 4, schema=schema))
    assert path.stat().st_size < 200_000
    with (
        pytest.raises(UserError, match="declares 10,000,000 rows of 4 columns"),
        open_parquet(path),
    ):
        pass


def test_own_files_are_known_however_their_path_is_written(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.mkdir(exist_ok=True)
    own = ["runs", "a", "status.json"]
    for path in (
        workspace / "runs/a/status.json",
        f"{workspace}//runs/./a/b/../status.json",
        f"{workspace}/photos/../runs/a/status.json",
    ):
        assert own_parts(path) == own
    assert own_parts(workspace / "runs") == own_parts(f"{workspace}/x/../runs/") == ["runs"]
    for path in (workspace, workspace / "photos/runs/a", f"{workspace}2/runs/a", "/runs/a"):
        assert own_parts(path) == []
    assert own_parts(f"{workspace}/runs/../photos/a.jpg") == own_parts(f"{workspace}/runs/..") == []
    for home, here in ((str(workspace), workspace), ("", workspace.parent)):
        monkeypatch.setenv("SECONDLOOK_HOME", home)
        monkeypatch.chdir(here)
        before = "" if home else f"{workspace.name}/"
        assert own_parts(f"{before}runs/a/status.json") == own
        assert own_parts("photos/a.jpg") == []


def test_a_lock_of_another_account_can_be_asked_and_taken(workspace: Path) -> None:
    path = put(workspace / "runs" / ".lock", b"")
    path.chmod(0o444)
    assert is_locked(path) is False
    with locked(path) as mine:
        assert mine and is_locked(path) is True
    assert is_locked(path.with_name("none")) is False
    assert not path.with_name("none").exists()


def test_a_file_that_a_library_made_anew_gets_the_mode_of_the_umask(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as temporary:
        temporary.unlink()
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o600))
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
