"""Atomic file writes, locks, checksums and the path of the workspace."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from engine import portable
from engine.errors import UserError


def workspace() -> Path:
    """Return the folder with runs and caches: ``$SECONDLOOK_HOME``, by default ``./workspace``."""
    return Path(os.environ.get("SECONDLOOK_HOME") or "workspace").absolute()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that is renamed to ``path`` if the block succeeds.

    A reader of ``path`` gets either the old or the new file, never a part of one. If the block
    raises an exception, the old file stays and the temporary file is removed.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name[:80]}.", suffix=".tmp", dir=path.parent
        )
        portable.let_others_read(handle)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            portable.replace_file(temporary, path)
            portable.sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{path} could not be written ({reason}); the previous file is kept."
        ) from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace ``path`` by ``content`` (text as UTF-8) atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON atomically; NaN and infinity raise an error."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    UserError
        If the file is missing, is not JSON, or does not hold an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}).") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: it is not valid JSON.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it does not contain a JSON object.")
    return value


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    try:
        with open(path, "rb") as file:
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
    lock = FileLock(path, timeout=-1 if wait is True else float(wait))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise UserError(f"{path} could not be locked ({error.strerror or error}).") from error
    try:
        yield True
    finally:
        lock.release()
