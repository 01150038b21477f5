"""Stamps of files: what a cache goes by, so that a changed file is read again."""

from __future__ import annotations

import os

Stamp = tuple[int, int]  # time and size of a file


def stamp_of(path: os.PathLike[str]) -> Stamp:
    """Return time and size of a file, zeros where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
