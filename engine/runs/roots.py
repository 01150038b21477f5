"""Which folders may be read: the workspace and, if it is set, those of ``$SECONDLOOK_ROOTS``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from engine import portable
from engine.errors import UserError

ROOTS = "SECONDLOOK_ROOTS"
OUTSIDE = f"lies outside the folders that may be read here (${ROOTS})"
_OWN = ("runs", "bin", "cache", "verdicts")  # what is written below the workspace


def workspace() -> Path:
    """Return the folder with runs and caches: ``$SECONDLOOK_HOME``, by default ``./workspace``."""
    home = os.environ.get("SECONDLOOK_HOME") or "workspace"
    return _absolute(home, "" if os.path.isabs(home) else os.getcwd())


@lru_cache(8)  # a page asks a hundred times
def _absolute(home: str, here: str) -> Path:
    return Path(here, home)


def own_parts(path: str | os.PathLike[str]) -> list[str]:
    """Return the parts of a path below the workspace, [] for a file outside of it."""
    folder, name = os.path.split(path)
    if name in ("", os.curdir, os.pardir):
        folder, name = os.path.split(os.path.abspath(path))
    home = os.environ.get("SECONDLOOK_HOME") or "workspace"
    here = "" if os.path.isabs(folder) and os.path.isabs(home) else os.getcwd()
    below = _below_home(folder, home, here)
    parts = [] if below is None else [*below, name]
    return parts if parts and parts[0] in _OWN else []


@lru_cache(4096)  # of 25,000 images in a folder each asks
def _below_home(folder: str, home: str, here: str) -> tuple[str, ...] | None:
    """Return the parts of a folder below the workspace, None outside; both relative to `here`."""
    whole, start = (os.path.normpath(os.path.join(here, path)) for path in (folder, home))
    if whole == start:
        return ()
    before = start.rstrip(os.sep) + os.sep
    return tuple(whole[len(before) :].split(os.sep)) if whole.startswith(before) else None


def is_readable(real: str) -> bool:
    """Return whether a path without links lies in a folder that may be read."""
    if not (listed := os.environ.get(ROOTS)):
        return True
    folders = [Path(each).expanduser() for each in listed.split(os.pathsep) if each]
    roots = [os.path.realpath(folder) for folder in (*folders, workspace())]
    return any(os.path.commonpath([real, root]) == root for root in roots)


def is_open_readable(handle: int, path: str | os.PathLike[str]) -> bool:
    """Return whether an open file lies, links resolved, in a folder that may be read."""
    return not os.environ.get(ROOTS) or is_readable(portable.path_of(handle, path))


def check_readable(path: Path, within: Iterable[Path] = ()) -> None:
    """Raise an error for a path, or a path within it, that lies outside ``$SECONDLOOK_ROOTS``.

    The variable lists folders, separated like ``$PATH``; links and ``..`` are resolved first, and
    the workspace is always allowed. If it is not set, every path that the user can read is
    allowed, which suits a server on 127.0.0.1.

    Raises
    ------
    UserError
        If the path or a path within it lies outside.
    """
    if not os.environ.get(ROOTS):
        return
    if not _resolved(path):
        raise UserError(f"{path} {OUTSIDE}; choose one inside.")
    for found in within:
        if not _resolved(found):
            raise UserError(f"{path} was not read: {found} {OUTSIDE}.")


def _resolved(path: Path) -> bool:
    try:
        return is_readable(os.path.realpath(path))
    except (OSError, ValueError):  # a name may contain a null byte
        return False
