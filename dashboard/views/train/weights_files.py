"""Finds weights files near the data, for the Train page to choose from."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

import streamlit as st

from engine.errors import UserError
from engine.runs.files import workspace
from engine.runs.roots import ROOTS, check_readable, own_parts

ENDINGS = (".safetensors", ".pth", ".pt")
_DEPTH, _MOST_ENTRIES, _MOST_FILES = 3, 20_000, 50
_MOST_IN_FOLDER = 2_000  # a folder of more holds images


def weights_files(data: Path) -> list[str]:
    """Return the paths of weights files below the folders that may be read.

    Where ``$SECONDLOOK_ROOTS`` is not set, these are the data folder, the folder around it, and
    that of the workspace. The search is bounded: three folders deep, 20,000 entries, 2,000 of each
    folder.
    """
    listed = os.environ.get(ROOTS, "").split(os.pathsep)
    roots = [str(Path(each).expanduser().absolute()) for each in listed if each]
    near = [str(data), str(data.parent), str(workspace()), str(workspace().parent)]
    return _found(tuple(dict.fromkeys([*roots, str(workspace())] if roots else near)))


@st.cache_resource(ttl=20, max_entries=8, show_spinner=False)
def _found(places: tuple[str, ...]) -> list[str]:
    found: dict[str, None] = {}
    todo, seen, entries = deque((place, 0) for place in places), set(places), 0
    while todo and entries < _MOST_ENTRIES and len(found) < _MOST_FILES:
        folder, depth = todo.popleft()
        for entry in _entries(folder):
            entries += 1
            if entry.name.endswith(ENDINGS) and entry.is_file(follow_symlinks=False):
                if _readable(entry.path):
                    found[entry.path] = None
            elif depth < _DEPTH and entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.path not in seen:
                    seen.add(entry.path)
                    todo.append((entry.path, depth + 1))
    return sorted(found)[:_MOST_FILES]


def _entries(folder: str) -> list[os.DirEntry[str]]:
    if own_parts(os.path.join(folder, "x")):  # runs and caches hold no initial weights
        return []
    try:
        with os.scandir(folder) as entries:
            return [entry for entry, _ in zip(entries, range(_MOST_IN_FOLDER), strict=False)]
    except (OSError, ValueError):
        return []


def _readable(path: str) -> bool:
    try:
        check_readable(Path(path))
    except UserError:
        return False
    return True
