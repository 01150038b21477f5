"""Operating-system differences in one place: what POSIX and Windows do in different ways."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO, TypedDict

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NICENESS = 10
_NEW_PROCESS_GROUP, _BELOW_NORMAL_PRIORITY, _NO_WINDOW = (
    0x200,
    0x4000,
    0x0800_0000,
)  # Windows constants
_REPLACE_SECONDS, _REPLACE_PAUSE = 2.0, 0.05
_REPARSE_POINT = 0x400  # attribute of Windows' links and junctions
_FORBIDDEN = set('<>:"/\\|?*')
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³"
}


class SessionOptions(TypedDict, total=False):
    """Keywords of ``subprocess.Popen`` that start a process in its own session."""

    start_new_session: bool
    creationflags: int


def on_windows() -> bool:
    """Return whether this is Windows."""
    return os.name == "nt"


def sync_folder(folder: int | None) -> None:
    """Write an open folder's entries to disk, so that a rename survives a power failure.

    Windows cannot open a folder (None); NTFS writes renames to its journal by itself.
    """
    if folder is not None:
        os.fsync(folder)


def replace_file(source: Path, target: Path, folder: int | None) -> None:
    """Rename ``source`` to ``target`` in the same open folder, replacing a file that is there.

    On Windows this fails while another process reads ``target``, so it is retried for a moment.

    Raises
    ------
    OSError
        If the file cannot be renamed.
    """
    if folder is not None:
        os.replace(source.name, target.name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    deadline = time.monotonic() + _REPLACE_SECONDS
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_REPLACE_PAUSE)


def replace_empty_folder(source: Path, target: Path) -> None:
    """Rename a folder to ``target``, which is absent or an empty folder.

    Raises
    ------
    OSError
        If ``target`` is anything else, or the folder cannot be renamed.
    """
    if on_windows() and target.is_dir():
        target.rmdir()
    os.replace(source, target)


def set_mode(handle: int, mode: int) -> None:
    """Give an open file a mode; Windows derives it from the folder."""
    if not on_windows():
        os.fchmod(handle, mode & 0o777)


def path_of(handle: int, path: str | os.PathLike[str]) -> str:
    """Return where an open file lies, without links; ``path`` is what it was opened by."""
    with suppress(OSError):
        return os.readlink(f"/proc/self/fd/{handle}")
    return os.path.realpath(path)


def name_of_open(handle: int, path: Path) -> str:
    """Return a name by which a library opens this open file, though its path may have changed."""
    name = f"/proc/self/fd/{handle}"
    return name if os.path.exists(name) else str(path)


def is_link(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a link, or on Windows a junction."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    attributes = getattr(found, "st_file_attributes", 0)
    return stat.S_ISLNK(found.st_mode) or bool(attributes & _REPARSE_POINT)


def try_lock(handle: int) -> bool:
    """Lock an open file for this process; return False if another one holds it.

    Closing the file, or the end of the process, releases the lock.

    Raises
    ------
    OSError
        If the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def own_session(*, low_priority: bool = False) -> SessionOptions:
    """Return the ``Popen`` keywords for a process that Ctrl+C in our terminal does not stop.

    ``low_priority`` has an effect on Windows only; on other systems use `nice_command`.
    """
    if not on_windows():
        return {"start_new_session": True}
    priority = _BELOW_NORMAL_PRIORITY if low_priority else 0
    return {"creationflags": _NEW_PROCESS_GROUP | _NO_WINDOW | priority}


def nice_command(command: Sequence[str]) -> list[str]:
    """Return a command that runs at low priority; on Windows `own_session` sets the priority."""
    return list(command) if on_windows() else ["nice", "-n", str(_NICENESS), *command]


def kill_session(process: subprocess.Popen[str]) -> None:
    """Kill a process that was started with `own_session`, and its children."""
    if on_windows():
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False
        )
        process.kill()
        return
    with suppress(ProcessLookupError):  # it has ended already
        os.killpg(process.pid, signal.SIGKILL)


def parent_has_ended(parent: int) -> bool:
    """Return whether the process ``parent``, which started this one, has ended.

    Windows gives no direct answer, because a process keeps its parent's id.
    """
    return not on_windows() and os.getppid() != parent


def available_memory() -> int | None:
    """Return the bytes of main memory that are free, or None if unknown."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            line = next((line for line in file if line.startswith("MemAvailable:")), "")
        return int(line.split()[1]) * 1024
    except (OSError, IndexError, ValueError):
        return None


def cpu_flags() -> set[str]:
    """Return the processor's features by Linux's names, or an empty set on other systems."""
    return set(_cpu_line("flags").split())


def cpu_model() -> str:
    """Return the processor's product name, or that of its architecture."""
    return _cpu_line("model name").strip() or platform.processor() or platform.machine()


def _cpu_line(title: str) -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith(title)), "")
    except OSError:
        return ""
    return line.partition(":")[2]


def unusable_name(path: str) -> str:
    """Return the part of a relative path that this system cannot use as a file name, or ''.

    Windows reserves names such as ``nul`` and ``com1`` (with any ending), refuses some
    characters, and drops a dot or a space at the end.
    """
    if not on_windows():
        return ""
    return next((part for part in path.split("/") if _unusable_on_windows(part)), "")


def _unusable_on_windows(name: str) -> bool:
    reserved = name.partition(".")[0].rstrip(" ").casefold() in _RESERVED
    control = any(ord(character) < 32 for character in name)
    return reserved or control or bool(_FORBIDDEN & set(name)) or name != name.rstrip(". ")


def write_utf8(*streams: TextIO | None) -> None:
    """Make standard output and errors UTF-8 on Windows, whose code page lacks most characters."""
    for stream in streams or (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if on_windows() and reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")


def is_first() -> bool:
    """Return whether this process writes files and output: the first of those torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def give_back_memory() -> None:
    """Return memory that was freed to the system, where the C library would keep it (glibc)."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
