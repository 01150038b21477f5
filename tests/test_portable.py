"""What differs between systems: the real thing here, Windows by simulation."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine import portable
from engine.competition.records import write_submission
from engine.data.archives import unpack
from engine.errors import UserError
from engine.runs import files, verdicts
from engine.runs.run_config import RunConfig
from engine.runs.run_list import create_run
from engine.runs.verdicts import Verdict, save_verdict
from tests.support.submission_tables import check, table


@pytest.fixture
def windows(monkeypatch):
    """Take Windows' branches; what only POSIX has is gone."""
    monkeypatch.setattr(portable, "on_windows", lambda: True)
    for name in ("fchmod", "killpg", "getpgid", "setsid", "pread", "nice"):
        monkeypatch.delattr(os, name)


def test_the_system_is_named_by_os_name():
    assert portable.on_windows() == (os.name == "nt")


def test_a_process_of_its_own_session_dies_with_its_children():
    script = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()'], "
        "stdin=subprocess.PIPE); print(child.pid, flush=True); child.wait()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, **portable.own_session()
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert os.getsid(parent.pid) == parent.pid == os.getsid(child)
    portable.kill_session(parent)
    assert parent.wait() == -signal.SIGKILL
    assert parent.stdout.read() == ""  # both ends are closed: the child is gone as well
    parent.stdout.close()
    portable.kill_session(parent)  # nothing is left, and that is no error


def test_windows_starts_at_low_priority_without_nice(windows):
    assert portable.nice_command(["python", "x"]) == ["python", "x"]
    new_group, no_window, below_normal = 0x200, 0x8000000, 0x4000
    assert portable.own_session() == {"creationflags": new_group | no_window}
    flags = portable.own_session(low_priority=True)["creationflags"]
    assert flags == new_group | no_window | below_normal


def test_windows_kills_the_tree_by_taskkill(windows, monkeypatch):
    asleep = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True)
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    portable.kill_session(asleep)
    assert asleep.wait(10) != 0
    assert commands == [["taskkill", "/F", "/T", "/PID", str(asleep.pid)]]
    assert asleep.stdin
    asleep.stdin.close()


def test_windows_writes_whole_files(windows, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(os, "open", _refuses_folders(os.open, opened))
    files.write_json(tmp_path / "a.json", {"a": 1})
    assert files.read_json(tmp_path / "a.json") == {"a": 1}
    assert opened and not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def _refuses_folders(really, opened):
    def open_file(path, flags, *rest, **more):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        opened.append(path)
        return really(path, flags, *rest, **more)

    return open_file


@pytest.mark.parametrize("readers_leave_after", [3, 10**9])
def test_windows_waits_for_readers_of_the_old_file(
    windows, tmp_path, monkeypatch, readers_leave_after
):
    really, tried = os.replace, []

    def replace(source, target):
        tried.append(target)
        if len(tried) < readers_leave_after:
            raise PermissionError(13, "The process cannot access the file")
        really(source, target)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(portable, "_REPLACE_SECONDS", 0.3)
    path = tmp_path / "a.txt"
    path.write_text("old")
    if readers_leave_after == 3:
        files.write_atomic(path, "new")
        assert path.read_text() == "new" and len(tried) == 3
    else:
        with pytest.raises(UserError, match="could not be written"):
            files.write_atomic(path, "new")
        assert path.read_text() == "old" and len(tried) > 3


def test_elsewhere_a_refused_rename_is_an_error_at_once(tmp_path, monkeypatch):
    tried = []

    def replace(source, target, **_):
        tried.append(target)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(UserError, match="could not be written"):
        files.write_atomic(tmp_path / "a.txt", "new")
    assert len(tried) == 1


@pytest.mark.parametrize("there", [True, False])
def test_windows_replaces_an_empty_folder(windows, tmp_path, there, monkeypatch):
    really = os.replace

    def replace(source, target):
        assert not os.path.lexists(target), "Windows renames no folder onto another"
        really(source, target)

    monkeypatch.setattr(os, "replace", replace)
    source, target = tmp_path / "made", tmp_path / "wanted"
    source.mkdir()
    (source / "file").touch()
    if there:
        target.mkdir()
    portable.replace_empty_folder(source, target)
    assert [path.name for path in target.iterdir()] == ["file"]


def test_windows_keeps_verdicts_line_by_line(windows, workspace):
    for number in range(3):
        save_verdict(Verdict(sha256=f"{number:064x}", verdict="hard"))
    content = verdicts.verdicts_path().read_bytes()
    assert content.count(b"\n") == 3 and b"\r" not in content
    verdicts.verdicts_path().write_bytes(content[:-20])  # a process that ended half-way
    save_verdict(Verdict(sha256="f" * 64, verdict="hard"))
    assert verdicts.verdicts_path().read_bytes().split(b"\n")[3].startswith(b'{"sha256": "ff')


def test_a_parent_that_has_ended_is_noticed():
    assert not portable.parent_has_ended(os.getppid())
    assert portable.parent_has_ended(os.getpid())


def test_windows_cannot_tell_whether_the_parent_has_ended(windows):
    assert not portable.parent_has_ended(1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_linux_tells_memory_and_processor():
    assert 2**26 < (portable.available_memory() or 0) < 2**46
    described = Path("/proc/cpuinfo").read_text("ascii", "replace")
    assert all(re.search(rf"[ \t]{flag}\b", described) for flag in portable.cpu_flags())
    assert ("avx2" in portable.cpu_flags()) == (" avx2 " in described)


def test_elsewhere_memory_and_processor_are_unknown(monkeypatch):
    def missing(*args, **keywords):
        raise FileNotFoundError(2, "No such file")

    monkeypatch.setattr("builtins.open", missing)
    assert portable.available_memory() is None and portable.cpu_flags() == set()


UNUSABLE = ("nul", "CON.jpg", "com1.tar.gz", "a<b", 'a"b', "a|b", "a?", "a.", "a ", "x/aux/y.jpg",
            "tab\t.jpg", "a\\b")  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_windows_cannot_use_some_names(windows, name):
    assert portable.unusable_name(name) in name.split("/") and portable.unusable_name(name)


@pytest.mark.parametrize("name", ["cat.0.jpg", "train/com10.jpg", "console.png", "ä ö.jpg", ".a"])
def test_windows_can_use_most_names(windows, name):
    assert portable.unusable_name(name) == ""


@pytest.mark.parametrize("name", UNUSABLE)
def test_elsewhere_every_name_can_be_used(name):
    assert portable.unusable_name(name) == ""


def test_windows_refuses_an_archive_with_such_a_name(windows, workspace, tmp_path):
    path = tmp_path / "train.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train/nul.jpg", b"x")
    with pytest.raises(UserError, match=r"'nul.jpg' in 'train/nul.jpg' cannot be a file name"):
        unpack(path)


def test_windows_writes_utf8_whatever_its_code_page(windows):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252")
    portable.write_utf8(stream, None)
    print("≤ 貓", file=stream, flush=True)
    assert raw.getvalue().decode().strip() == "≤ 貓"


def test_elsewhere_the_encoding_stays():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    portable.write_utf8(stream)
    assert stream.encoding == "latin-1"


def test_names_that_we_make_can_be_used_on_windows(windows, workspace):
    now = datetime(2026, 11, 24, 6, 14, 24, tzinfo=UTC)
    run = create_run(RunConfig("mobilenet_v2"), now=now)
    submissions = run.folder / "submissions"
    write_submission(submissions, check(table({"1": 0.9})), run=run.name, now=now)
    save_verdict(Verdict(sha256="0" * 64, verdict="hard"))
    names = [str(p.relative_to(workspace)).replace(os.sep, "/") for p in workspace.rglob("*")]
    assert len(names) > 5 and [name for name in names if portable.unusable_name(name)] == []
