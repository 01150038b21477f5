"""Opens regular files only, without waiting, and follows no link in the workspace.

Files of the workspace (runs, bin, caches, verdicts) are reached from its folder step by step, so
that a link at any step is refused. Elsewhere links are followed, and where the file really lies
is checked against ``$SECONDLOOK_ROOTS`` after it is open.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from engine import portable
from engine.runs.roots import OUTSIDE, is_open_readable, own_parts, workspace

GIGABYTE = 2**30
_TAIL_BYTES = 64_000
_LINK = "it is a link, and links in the workspace are not followed"
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


def open_regular(
    path: str | os.PathLike[str], most: int | None = None, *, anywhere: bool = False
) -> BufferedReader:
    """Open a regular file for reading.

    Parameters
    ----------
    most
        The largest size in bytes.
    anywhere
        Whether it may lie outside ``$SECONDLOOK_ROOTS``.

    Raises
    ------
    OSError
        If it cannot be opened, is a pipe, a device or a folder, is larger, is a link within the
        workspace, or lies outside.
    """
    handle, _ = _open_to_read(path, most, anywhere)
    return os.fdopen(handle, "rb")


def read_file(
    path: str | os.PathLike[str], most: int = GIGABYTE, *, anywhere: bool = False
) -> bytes:
    """Return the content of a regular file of at most ``most`` bytes.

    Raises
    ------
    OSError
        As `open_regular`, also if the file grows while it is read.
    """
    handle, size = _open_to_read(path, most, anywhere)
    try:
        content = os.read(handle, size + 1)  # most files, in one piece
        if len(content) != size:
            content += _rest(handle, most + 1 - len(content))
    finally:
        os.close(handle)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    return content


def tail_of(file: BinaryIO) -> str:
    """Return the last 64,000 bytes of an open file as text."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(size - _TAIL_BYTES, 0))
    return file.read(_TAIL_BYTES).decode("utf-8", "replace")


def open_handle(path: str | os.PathLike[str], flags: int) -> int:
    """Return a descriptor of a regular file; a new file gets the mode that the umask leaves.

    Raises
    ------
    OSError
        As `open_regular`.
    """
    return _opened(path, own_parts(path), flags)[0]


@contextmanager
def opened_folder(path: Path) -> Iterator[int | None]:
    """Yield a descriptor of a folder, None on Windows; it is made if it is not there.

    Raises
    ------
    OSError
        If it cannot be made or opened, or is a link within the workspace.
    """
    own = own_parts(path)
    if not own:
        path.mkdir(parents=True, exist_ok=True)
    elif portable.on_windows():
        _refuse_links(own)
        path.mkdir(parents=True, exist_ok=True)
    else:
        with _closing(_own_folder(own, make=True)) as folder:
            yield folder
        return
    with _closing(None if portable.on_windows() else os.open(path, _FOLDER)) as outside:
        yield outside


def make_folder(path: Path) -> None:
    """Make a folder and its missing parent folders; errors as for `opened_folder`."""
    with opened_folder(path):
        pass


def is_file(path: Path) -> bool:
    """Return whether the path is a regular file; in the workspace links are not followed."""
    return _is(path, stat.S_ISREG)


def is_folder(path: Path) -> bool:
    """Return whether the path is a folder; in the workspace links are not followed."""
    return _is(path, stat.S_ISDIR)


def remove_file(path: Path) -> None:
    """Remove a file, or a link itself, if it is there; errors as `opened_folder`."""
    own = own_parts(path)
    with suppress(FileNotFoundError):
        if own and not portable.on_windows():
            with _closing(_own_folder(own[:-1])) as folder:
                os.unlink(own[-1], dir_fd=folder)
        else:
            _refuse_links(own[:-1])
            path.unlink()


def _open_to_read(
    path: str | os.PathLike[str], most: int | None, anywhere: bool
) -> tuple[int, int]:
    """Return a descriptor and the size of a regular file that may be read."""
    own = own_parts(path)
    handle, size = _opened(path, own, os.O_RDONLY)
    try:
        if most is not None and size > most:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, more than {most:,}")
        if not anywhere and not own and not is_open_readable(handle, path):
            raise OSError(errno.EACCES, f"it {OUTSIDE}")
    except BaseException:
        os.close(handle)
        raise
    return handle, size


def _rest(handle: int, most: int) -> bytes:
    """Return what is left of an open file, and no more than ``most`` bytes."""
    with os.fdopen(handle, "rb", closefd=False) as file:
        return file.read(most)


def _opened(path: str | os.PathLike[str], own: list[str], flags: int) -> tuple[int, int]:
    """Return a descriptor and the size of a regular file; ``own`` is what `own_parts` gives."""
    if "\0" in os.fspath(path):
        raise OSError(errno.EINVAL, "its name contains a null byte")
    if own and not portable.on_windows():
        handle = _step(own[-1], flags | _NO_WAIT | _NO_LINK, _own_folder(own[:-1]))
    else:
        _refuse_links(own)
        handle = os.open(path, flags | _NO_WAIT, 0o666)
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode):
        return handle, status.st_size
    os.close(handle)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "it is not a regular file")


def _is(path: Path, kind: object) -> bool:
    assert callable(kind)
    own = own_parts(path)
    try:
        if not own:
            return bool(kind(os.stat(path).st_mode))
        _refuse_links(own)
        return bool(kind(os.lstat(path).st_mode))
    except (OSError, ValueError):
        return False


def _own_folder(parts: list[str], make: bool = False) -> int:
    """Return a descriptor of a folder of the workspace, reached without following a link."""
    if make:
        workspace().mkdir(parents=True, exist_ok=True)
    folder = os.open(workspace(), _FOLDER)
    for part in parts:
        if make:
            _make(part, folder)
        folder = _step(part, _FOLDER | _NO_LINK, folder)
    return folder


def _step(part: str, flags: int, folder: int) -> int:
    """Open a part of a path in an open folder, which is closed; say of a link that it is one."""
    try:
        return os.open(part, flags, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.ENOENT and _is_link(part, folder):
            raise OSError(errno.ELOOP, _LINK) from error
        raise
    finally:
        os.close(folder)


def _make(part: str, folder: int) -> None:
    try:
        os.mkdir(part, 0o777, dir_fd=folder)
    except FileExistsError:
        pass
    except OSError:
        os.close(folder)
        raise


@contextmanager
def _closing(handle: int | None) -> Iterator[int | None]:
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def _is_link(part: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _refuse_links(parts: list[str]) -> None:
    """Refuse a link at any step; only Windows, which cannot open step by step, relies on it."""
    path = os.fspath(workspace())
    for part in parts:
        path = os.path.join(path, part)
        if portable.is_link(path):
            raise OSError(errno.ELOOP, _LINK)
