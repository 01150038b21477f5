"""Where caches lie, and the removal of those that are out of date."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.runs.files import locked, workspace
from engine.runs.opening import is_file, is_folder, remove_file

DECODING_RULES = 5  # raised whenever the same bytes become other pixels
_DECODED = ("features", "thumbnails", "properties", "explanations")  # what depends on them
_LEFT_OVER = 3600.0  # seconds after which nobody writes a temporary file any more


@dataclass(frozen=True)
class Swept:
    """Numbers of removed caches, temporary files and bytes, and the caches still in use."""

    caches: int
    temporary: int
    bytes: int
    in_use: int


def decoded_cache(kind: str) -> Path:
    """Return the cache folder of one kind for the current decoding rules.

    Parameters
    ----------
    kind : features, thumbnails, properties or explanations
    """
    assert kind in _DECODED
    return workspace() / "cache" / kind / f"rules-{DECODING_RULES}"


def sweep() -> Swept:
    """Remove caches of earlier decoding rules, and temporary files that a killed process left.

    A cache that a process holds is left alone, and so is everything that is younger than an hour
    among the temporary files.
    """
    caches = temporary = freed = in_use = 0
    for path in _outdated():
        size = _size(path)
        if _removed(path):
            caches, freed = caches + 1, freed + size
        else:
            in_use += 1
    for path in _left_over():
        size = _size(path)
        if _removed(path):
            temporary, freed = temporary + 1, freed + size
    return Swept(caches, temporary, freed, in_use)


def _outdated() -> Iterator[Path]:
    """Yield what lies in a decoded cache and belongs to no rules, or to earlier ones."""
    for kind in _DECODED:
        folder = workspace() / "cache" / kind
        for path in sorted(folder.iterdir()) if is_folder(folder) else ():
            number = path.name.removeprefix("rules-")
            newer = path.name != number and number.isdecimal() and int(number) >= DECODING_RULES
            if not newer:
                yield path


def _left_over() -> Iterator[Path]:
    """Yield temporary files as ``atomic_path`` names them, whose writer is gone."""
    now = time.time()
    for folder, _, names in os.walk(workspace()):  # which follows no link
        for path in sorted(Path(folder, name) for name in names):
            if path.name.startswith(".") and path.suffix == ".tmp" and is_file(path):
                if now - path.lstat().st_mtime > _LEFT_OVER:
                    yield path


def _removed(path: Path) -> bool:
    if not is_folder(path):
        remove_file(path)
        return True
    for lock in path.rglob(".lock"):
        with locked(lock, wait=0) as free:
            if not free:
                return False
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.lstat().st_size for each in files)
