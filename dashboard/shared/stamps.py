"""Stamps of files: cache keys that change when a file changes."""

from __future__ import annotations

import os

Stamp = tuple[int, int]  # time and size of a file


def stamp_of(path: os.PathLike[str]) -> Stamp:
    """Return time and size of a file, or zeros if it does not exist."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # a typed name may hold a null byte
        return 0, 0
    return found.st_mtime_ns, found.st_size
