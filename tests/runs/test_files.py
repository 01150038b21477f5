"""Files are whole or absent, whatever happens; a lock ends with its process."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.runs.files import (
    atomic_path,
    locked,
    open_log,
    read_json,
    sha256_of,
    workspace,
    write_atomic,
    write_json,
)

ROOT = Path(__file__).resolve().parents[2]


def refusal(error: pytest.ExceptionInfo[UserError], path: Path) -> str:
    message = str(error.value)
    assert str(path) in message and "\n" not in message and message.endswith(".")
    return message


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def other_process(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a script beside this process, up to its first line of output; kill it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


HOLDER = """
    import pathlib, sys, time
    from engine.runs.files import locked
    with locked(pathlib.Path(sys.argv[1])):
        print("ready", flush=True)
        time.sleep(600)
"""

WRITER = """
    import pathlib, sys, time
    from engine.runs.files import atomic_path
    with atomic_path(pathlib.Path(sys.argv[1])) as temporary:
        temporary.write_text("half of the new")
        print("ready", flush=True)
        time.sleep(600)
"""


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let the system cut writes short, as a full disk does (it says EFBIG instead of ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_workspace_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SECONDLOOK_HOME", str(tmp_path / "home"))
    assert workspace() == tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("SECONDLOOK_HOME")
        else:
            monkeypatch.setenv("SECONDLOOK_HOME", value)
        assert workspace() == tmp_path / "workspace"


def test_a_file_takes_its_name_at_the_end(tmp_path):
    path = tmp_path / "deep" / "down" / "file"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "file", "text")
        with open_log(tmp_path / "log"), locked(tmp_path / ".lock"):
            pass
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}


@pytest.mark.parametrize("content", ["é\n", b"\0\xff"])
def test_text_and_bytes_are_written_as_they_are(tmp_path, content):
    write_atomic(tmp_path / "file", content)
    expected = content.encode() if isinstance(content, str) else content
    assert (tmp_path / "file").read_bytes() == expected


def test_content_in_pieces_is_written_whole_or_not_at_all(tmp_path):
    def failing():
        yield b"new"
        raise ValueError

    path = tmp_path / "file"
    write_atomic(path, iter([b"one ", b"", b"two"]))
    with pytest.raises(ValueError):
        write_atomic(path, failing())
    assert path.read_bytes() == b"one two" and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_the_old_file_stays_when_the_block_raises(tmp_path, raised):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(raised), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise raised
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_the_old_file_stays_when_the_disk_is_full(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with no_file_larger_than(1000), pytest.raises(UserError) as error:
        write_atomic(path, b"x" * 5000)
    assert "kept" in refusal(error, path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("where", ["open", "write", "fsync", "replace"])
def test_no_space_at_any_step_is_refused_by_name(tmp_path, monkeypatch, where):
    path = tmp_path / "file"
    path.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, pytest.raises(UserError) as error:
        patched.setattr(os, where, full)
        write_atomic(path, b"new")
    assert "No space left" in refusal(error, path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "below"
    with pytest.raises(UserError) as error:
        write_atomic(path, b"new")
    refusal(error, path)


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with other_process(WRITER, path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.read_text() == "old"
    write_atomic(path, "newer")
    assert path.read_text() == "newer"


def test_json_is_readable_and_comes_back(tmp_path):
    path = tmp_path / "a.json"
    value = {"name": "été", "n": 3, "deep": {"list": [1, 0.1, None, True]}}
    write_json(path, value)
    assert read_json(path) == value
    assert "été" in path.read_text("utf-8")
    assert path.read_text("utf-8").endswith("}\n")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_json_without_nan(tmp_path, number):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"loss": number})
    assert read_json(path) == {"old": 1}


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b"3", b"\xff\xfe"])
def test_damaged_json_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_json(path)
    assert "damaged" in refusal(error, path)


def test_missing_files_are_refused(tmp_path):
    path = tmp_path / "nowhere"
    with pytest.raises(UserError) as error:
        read_json(path)
    assert "No such file" in refusal(error, path)
    with pytest.raises(UserError) as error:
        sha256_of(path)
    assert "No such file" in refusal(error, path)


def test_sha256_is_that_of_the_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 100_000)
    assert sha256_of(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_lock_is_held_by_one_and_let_go(tmp_path):
    path = tmp_path / "deep" / ".lock"
    with locked(path) as mine, locked(path, wait=False) as second:
        assert (mine, second) == (True, False)
    with locked(path, wait=False) as mine:
        assert mine
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    with locked(path, wait=False) as mine:
        assert mine


def test_a_lock_of_another_process_ends_with_it(tmp_path):
    path = tmp_path / ".lock"
    with other_process(HOLDER, path) as process:
        with locked(path, wait=False) as mine:
            assert not mine
        with locked(path, wait=0.1) as mine:
            assert not mine
        process.send_signal(signal.SIGKILL)
        with locked(path, wait=10) as mine:
            assert mine


def test_a_lock_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / ".lock"
    with pytest.raises(UserError) as error, locked(path):
        pass
    refusal(error, path)


def test_a_file_that_is_written_again_and_again_is_never_half(tmp_path):
    path = tmp_path / "status.json"
    write_json(path, {"n": 0, "text": "x" * 10_000})
    script = """
        import pathlib, sys
        from engine.runs.files import write_json
        print("ready", flush=True)
        for n in range(10**9):
            write_json(pathlib.Path(sys.argv[1]), {"n": n, "text": "x" * 10_000})
    """
    with other_process(script, path):
        seen, until = 0, time.monotonic() + 60
        while seen < 20 and time.monotonic() < until:
            seen = json.loads(path.read_text())["n"]
    assert seen >= 20
