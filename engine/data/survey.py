"""Lists the content of a data folder: images by folder, tables and archives."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from engine.data.archives import unpack
from engine.data.file_kinds import ignored_as, kind_of
from engine.data.name_lists import may_list_images
from engine.data.split_words import is_generic, split_of
from engine.errors import UserError
from engine.runs.opening import open_regular

_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF",
)  # fmt: skip


@dataclass
class Survey:
    """The files below a folder; archives that hold images or tables are unpacked and joined in.

    Attributes
    ----------
    root : the folder
    folders : sorted image names by folder (``train/cat``, '' for the root)
    places : path of each folder: '' or ``train/cat/`` within ``root``, or absolute
    tables : file of each label table or list, by name (``train.csv``)
    foreign : names of files that may hold images or labels in an unsupported form
    ignored : number of ignored files, by reason
    first_ignored : the first of these files, by reason
    """

    root: Path
    folders: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Path] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    first_ignored: dict[str, str] = field(default_factory=dict)

    def ignore(self, reason: str, name: str, count: int = 1) -> None:
        """Count a file, or a folder of several, as ignored."""
        self.ignored[reason] += count
        self.first_ignored[reason] = min(self.first_ignored.get(reason, name), name)

    def images(self) -> tuple[list[str], list[str]]:
        """Return each image's name below the root, and its path, in the order of the folders."""
        names, paths = [], []
        for folder in sorted(self.folders):
            before = f"{folder}/" if folder else ""
            names += [before + name for name in self.folders[folder]]
            paths += [self.places[folder] + name for name in self.folders[folder]]
        return names, paths


def survey(root: Path) -> Survey:
    """List everything below a folder; of files of unknown kinds the first bytes are read.

    Raises
    ------
    UserError
        When a folder cannot be listed, or an archive cannot be unpacked.
    """
    found = Survey(root)
    _walk(found, root, "", "")
    return found


def _walk(found: Survey, real: Path, name: str, place: str) -> None:
    """List ``real``, which is known as ``name`` below the root, and everything below it."""
    images: list[str] = []
    folders: list[str] = []
    archives: list[str] = []
    for entry in _entries(real):
        if reason := ignored_as(entry.name):
            found.ignore(reason, _below(name, entry.name), _count(entry))
        elif _is_folder(entry):
            if _is_above(entry):
                found.ignore("links in a circle", _below(name, entry.name))
            else:
                folders.append(entry.name)
        elif (kind := kind_of(entry.name)) == "archive":
            archives.append(entry.name)
        elif kind == "image" or (kind == "unknown" and _begins_as_image(entry.path)):
            images.append(entry.name)
        else:
            _note(found, kind, entry, _below(name, entry.name))
    if images:
        known = found.folders.setdefault(name, [])
        found.folders[name] = sorted(known + images)
        found.places[name] = place
    for folder in folders:
        inside = _below(name, folder)
        _walk(found, real / folder, inside, f"{place}{folder}/")
    _unpack(found, real, name, archives, folders, lonely=not images and not folders)


def _note(found: Survey, kind: str, entry: os.DirEntry[str], name: str) -> None:
    file = Path(entry.path)
    if kind == "table" or (kind == "list" and may_list_images(file)):
        found.tables[name] = file
    elif kind == "foreign":
        found.foreign.append(name)
        found.ignore("files of kinds that are not read", name)
    else:
        found.ignore("not images", name)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _unpack(
    found: Survey, real: Path, name: str, archives: list[str], folders: list[str], *, lonely: bool
) -> None:
    wanted = []
    for archive in archives:
        stem = os.path.splitext(archive)[0]
        if stem in folders or (kind_of(stem) == "table" and (real / stem).is_file()):
            found.ignore("archives that are unpacked already", _below(name, archive))
        elif split_of(stem) or is_generic(stem) or kind_of(stem) == "table":
            wanted.append(archive)
        elif lonely and len(archives) == 1:
            _walk_unpacked(found, unpack(real / archive), name)
        elif "sample" in stem.lower():
            wanted.append(archive)
        else:
            found.ignore("archives whose names mean no split", _below(name, archive))
            found.foreign.append(_below(name, archive))
    for archive in wanted:
        stem = os.path.splitext(archive)[0]
        unpacked = unpack(real / archive)
        if kind_of(stem) == "table" or "sample" in stem.lower():
            _walk_unpacked(found, unpacked, name)
        else:
            inner = unpacked / stem if (unpacked / stem).is_dir() else unpacked
            _walk_unpacked(found, inner, _below(name, stem))


def _walk_unpacked(found: Survey, folder: Path, name: str) -> None:
    _walk(found, folder, name, f"{folder.as_posix()}/")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be listed ({error.strerror}).") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_above(entry: os.DirEntry[str]) -> bool:
    """Tell whether a folder is a link to one that it lies in, so that following it never ends."""
    if not entry.is_symlink():
        return False
    link = Path(entry.path)
    return link.parent.resolve().is_relative_to(link.resolve())


def _count(entry: os.DirEntry[str]) -> int:
    if not entry.is_dir(follow_symlinks=False):
        return 1
    return sum(len(files) for _, _, files in os.walk(entry.path))


def _begins_as_image(path: str) -> bool:
    """Tell by its first bytes whether a file of unknown suffix is an image."""
    try:
        with open_regular(path) as file:
            return file.read(8).startswith(_MAGIC)
    except (OSError, ValueError):
        return False
