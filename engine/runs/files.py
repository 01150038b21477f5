"""Writes files atomically, appends to logs, locks, reads and writes JSON, and computes checksums.

Everything is opened by :mod:`engine.runs.opening`: no link of the workspace is followed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from engine import portable
from engine.errors import UserError
from engine.runs.json_text import loads
from engine.runs.opening import (
    make_folder,
    open_handle,
    open_regular,
    opened_folder,
    read_file,
    remove_file,
)
from engine.runs.roots import workspace

__all__ = [
    "atomic_path", "is_locked", "locked", "open_log", "read_json", "sha256_of", "workspace",
    "write_atomic", "write_json",
]  # fmt: skip
_MOST_JSON = 64 * 2**20  # bytes
_PAUSE = 0.05  # seconds between two attempts to take a lock


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that is renamed to ``path`` if the block succeeds.

    A reader of ``path`` gets either the old or the new file, never a part of one. If the block
    raises an exception, the old file stays and the temporary file is removed. A new file has the
    mode that the umask leaves.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        with opened_folder(path.parent) as folder:
            with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as handle:
                mode = os.fstat(handle).st_mode
            try:
                yield temporary
                with _opened(temporary, os.O_RDWR) as handle:
                    portable.set_mode(handle, mode)  # a library may have made it anew
                    os.fsync(handle)
                portable.replace_file(temporary, path, folder)
                portable.sync_folder(folder)
            finally:
                _remove(temporary, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{path} could not be written ({reason}); the previous file is kept."
        ) from error


def write_atomic(path: Path, content: bytes | str | Iterable[bytes]) -> None:
    """Replace ``path`` by ``content`` (text as UTF-8, or bytes in pieces) atomically."""
    if isinstance(content, str):
        content = content.encode()
    with atomic_path(path) as temporary, _opened(temporary, os.O_WRONLY) as handle:
        for block in [content] if isinstance(content, bytes) else content:
            write_all(handle, block)


def write_all(handle: int, content: bytes) -> None:
    """Write all of the content to an open file.

    Raises
    ------
    OSError
        If the disk is full.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def open_log(path: Path, *, append: bool = False) -> BinaryIO:
    """Open a log for writing, at its end or anew.

    Raises
    ------
    OSError
        If it cannot be opened, or has a second name, so that it may be another's file.
    """
    make_folder(path.parent)
    if not append:
        remove_file(path)
        return os.fdopen(open_handle(path, os.O_RDWR | os.O_CREAT | os.O_EXCL), "r+b", buffering=0)
    handle = open_handle(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    if os.fstat(handle).st_nlink > 1:
        os.close(handle)
        raise OSError(errno.EMLINK, "it has a second name (a hard link); copy it to a new file")
    return os.fdopen(handle, "a+b", buffering=0)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON atomically; NaN and infinity raise an error."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    UserError
        If the file is missing, too large or deep, is not JSON, or does not hold an object.
    """
    return json_object(path, json_bytes(path))


def json_bytes(path: Path) -> bytes:
    """Return the content of a JSON file for `json_object`; errors as `read_json`."""
    try:
        return read_file(path, _MOST_JSON)
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}).") from error


def json_object(path: Path, content: bytes) -> dict[str, Any]:
    """Return the JSON object that the content of a file holds; errors as `read_json`."""
    try:
        value = loads(content)
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it does not contain a JSON object.")
    return value


def sha256_of(path: Path, *, anywhere: bool = False) -> str:
    """Return the SHA-256 of a file's content in hexadecimal; `anywhere` as for `open_regular`."""
    try:
        with open_regular(path, anywhere=anywhere) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}).") from error


@contextmanager
def locked(path: Path, wait: bool | float = True) -> Iterator[bool]:
    """Hold the lock file ``path`` during the block; a process that ends always releases it.

    ``wait`` True waits without limit, a number waits at most that many seconds.

    Yields
    ------
    bool
        True if this process holds the lock, False (never with ``wait=True``) if another does.

    Raises
    ------
    UserError
        If the lock file cannot be written.
    """
    limit = float("inf") if wait is True else time.monotonic() + float(wait)
    try:
        make_folder(path.parent)
        handle = _lock_handle(path)
    except OSError as error:
        raise UserError(f"{path} could not be locked ({error.strerror or error}).") from error
    try:
        while not (mine := _try_lock(handle, path)) and time.monotonic() < limit:
            time.sleep(_PAUSE)
        yield mine
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool | None:
    """Return whether a process holds a lock file, None if that cannot be told; writes nothing."""
    try:
        handle = open_handle(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        return not portable.try_lock(handle)
    except OSError:
        return None
    finally:
        os.close(handle)


def _lock_handle(path: Path) -> int:
    """Open a lock file; one of another account may be readable only, and can be locked as well."""
    try:
        return open_handle(path, os.O_RDWR | os.O_CREAT)
    except PermissionError:
        return open_handle(path, os.O_RDONLY)


def _try_lock(handle: int, path: Path) -> bool:
    try:
        return portable.try_lock(handle)
    except OSError as error:
        raise UserError(f"{path} could not be locked ({error.strerror or error}).") from error


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = open_handle(path, flags)
    try:
        yield handle
    finally:
        os.close(handle)


def _remove(temporary: Path, folder: int | None) -> None:
    with suppress(FileNotFoundError):
        os.unlink(temporary.name if folder is not None else temporary, dir_fd=folder)
