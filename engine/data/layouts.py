"""Where images lie: Kaggle folder, ImageFolder, class folders, flat folder, CSV, archives."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from engine.data.archives import unpack
from engine.errors import UserError, first_ten
from engine.runs.prediction_table import read_csv_text

_NUMBERED = re.compile(r"(?P<label>.+)\.\d+\.[^.]+")  # cat.0.jpg
_IGNORED_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}
_OTHER_SUFFIXES = {
    ".csv", ".txt", ".json", ".md", ".zip", ".xml", ".html", ".py", ".parquet", ".ini", ".db",
    ".log", ".yaml", ".yml", ".tsv", ".pdf",
}  # fmt: skip
_VALID_NAMES = ("valid", "val")


@dataclass(frozen=True)
class Listing:
    """Files found, not yet read.

    Attributes
    ----------
    root : the folder that paths are relative to
    images : table of id, path, split, label (None where unknown), sorted by split and id
    ignored : number of files passed over
    """

    root: Path
    images: pd.DataFrame
    ignored: int


class _Found(NamedTuple):
    id: str
    path: str
    split: str
    label: str | None


def find_images(data: Path, class_names: tuple[str, ...] = ()) -> Listing:
    """List the images of ``data`` with split, label and id; nothing is opened.

    ``train.zip`` and ``test.zip`` are unpacked into the workspace's cache first. With
    ``class_names`` (for prediction) all images are of the split ``test``, and a flat folder is
    taken too, labelled where its names read ``<class>.<n>.jpg`` with one of these classes.

    Raises
    ------
    UserError
        When ``data`` does not exist, cannot be listed, or holds no image.
    """
    data = data.absolute()
    try:
        data.stat()
    except FileNotFoundError as error:
        raise UserError(
            f"{data} does not exist; give a folder of images, a CSV or a zip."
        ) from error
    except (OSError, ValueError) as error:  # a name may hold a null byte
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{data} cannot be read ({reason}).") from error
    if data.is_file() and data.suffix.lower() == ".csv":
        return _from_csv(data, class_names)
    if data.is_file() and data.suffix.lower() == ".zip":
        return find_images(_single_folder(unpack(data)), class_names)
    if not data.is_dir():
        raise UserError(f"{data} is neither a folder, a CSV nor a zip.")
    found, ignored = _from_folder(data, class_names)
    if not found:
        raise UserError(f"{data} holds no images; the README lists what can be read.")
    return Listing(data, _table(found, to_predict=bool(class_names)), ignored)


def all_images(folder: Path) -> Listing:
    """List every image below a folder, whatever the layout; none is labelled.

    Raises
    ------
    UserError
        When the folder cannot be listed.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder.")
    found, ignored = _walk(folder, folder, "test", labelled=False)
    return Listing(folder, _table(found), ignored)


def texts(values: Iterable[str]) -> pd.Series[str]:
    """Return a column of Python strings; one of pandas' own could not hold every file name."""
    return pd.Series(list(values), dtype=object)


def as_utf8(name: str) -> str:
    """Spell out bytes that are no UTF-8, which the file system hands over as lone surrogates."""
    return name.encode("utf-8", "backslashreplace").decode()


def _from_folder(data: Path, class_names: tuple[str, ...]) -> tuple[list[_Found], int]:
    train = _part(data, "train")
    found: list[_Found] = []
    ignored = 0
    if train is None and class_names:
        return _to_predict(data, class_names)
    if train is None:
        return _walk(data, data, "train", labelled=True)
    parts = [("train", train)]
    parts += [("valid", part) for name in _VALID_NAMES if (part := _part(data, name))][:1]
    parts += [("test", part) for part in [_part(data, "test")] if part]
    if class_names:  # predicting on a whole competition folder means its test images
        parts = [part for part in parts if part[0] == "test"] or parts
    for split, folder in parts:
        images, passed = _walk(data, folder, split, labelled=split != "test" or None)
        found += images
        ignored += passed
    return found, ignored


def _to_predict(data: Path, class_names: tuple[str, ...]) -> tuple[list[_Found], int]:
    folders = {path.name for path in _entries(data) if path.is_dir() and not _is_ignored(path.name)}
    if folders & set(class_names):
        return _walk(data, data, "test", labelled=True)
    if test := _part(data, "test"):
        return _walk(data, test, "test", labelled=None)
    # In folders of other names, file names are no labels either.
    return _walk(data, data, "test", labelled=not folders, classes=class_names)


def _part(data: Path, name: str) -> Path | None:
    """Return ``data/name``, or the unpacked ``data/name.zip``."""
    folder = data / name
    if folder.is_dir():
        return folder
    archive = data / f"{name}.zip"
    if not archive.is_file():
        return None
    unpacked = unpack(archive)
    return unpacked / name if (unpacked / name).is_dir() else _single_folder(unpacked)


def _single_folder(folder: Path) -> Path:
    entries = [path for path in _entries(folder) if not _is_ignored(path.name)]
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder


def _walk(
    root: Path,
    folder: Path,
    split: str,
    *,
    labelled: bool | None,
    classes: tuple[str, ...] = (),
) -> tuple[list[_Found], int]:
    """List one split. ``labelled=None``: class folders are labels, file names are not."""
    found: list[_Found] = []
    ignored = 0

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be listed ({error.strerror}).")

    shown = folder.relative_to(root) if folder.is_relative_to(root) else folder
    before = "" if folder == root else f"{shown.as_posix()}/"
    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        passed = {name for name in folders if _is_ignored(name) or _is_above(parent, name)}
        ignored += len(passed)
        folders[:] = sorted(set(folders) - passed)
        inside = Path(parent).relative_to(folder).as_posix()
        inside = "" if inside == "." else f"{inside}/"
        in_class = inside.partition("/")[0] if inside and labelled is not False else None
        for name in sorted(files):
            if _is_ignored(name) or os.path.splitext(name)[1].lower() in _OTHER_SUFFIXES:
                ignored += 1
                continue
            label = in_class
            if label is None and labelled and (match := _NUMBERED.fullmatch(name)):
                named = match["label"]
                label = named if not classes or named in classes else None
            found.append(_Found(inside + name, before + inside + name, split, label))
    return found, ignored


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be listed ({error.strerror}).") from error


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _IGNORED_NAMES


def _is_above(parent: str, name: str) -> bool:
    """Tell whether a folder is a link to one that it lies in, so that following it never ends."""
    link = Path(parent, name)
    return link.is_symlink() and link.parent.resolve().is_relative_to(link.resolve())


def _from_csv(file: Path, class_names: tuple[str, ...]) -> Listing:
    header, columns = read_csv_text(file)
    texts = {name.strip(): column.to_pylist() for name, column in zip(header, columns, strict=True)}
    table = pd.DataFrame(texts, dtype=object)
    if "path" not in table or "label" not in table:
        raise UserError(f"{file} needs the columns path and label (and may have split and id).")
    if table.empty:
        raise UserError(f"{file} lists no image.")
    for column in {"path", "id"} & set(table):
        if (lost := np.flatnonzero(table[column] == "")).size:
            rows = first_ten([str(row + 1) for row in lost])
            raise UserError(f"{file} has no {column} in row {rows}, counted after the header.")
    repeated = table["path"][table["path"].duplicated()].tolist()
    if repeated:
        raise UserError(f"{file} lists images more than once: {first_ten(repeated)}.")
    label = table["label"].where(table["label"] != "", None)
    split = table["split"] if "split" in table else pd.Series("", index=table.index)
    split = split.replace({"val": "valid", "validation": "valid", "training": "train"})
    split = split.where(split != "", label.notna().map({True: "train", False: "test"}))
    strange = sorted(set(split) - {"train", "valid", "test"})
    if strange:
        raise UserError(
            f"{file} has splits that are not train, valid or test: {first_ten(strange)}."
        )
    names = table["id"] if "id" in table else table["path"]
    found = [_Found(*row) for row in zip(names, table["path"], split, label, strict=True)]
    if class_names:  # as with a folder
        found = [image for image in found if image.split == "test"] or found
    listed = _table(found, to_predict=bool(class_names), ids_given="id" in table)
    twice = listed["id"][listed.duplicated(["split", "id"])].tolist()
    if twice:
        raise UserError(f"{file} has ids that occur more than once in a split: {first_ten(twice)}.")
    return Listing(file.parent, listed, 0)


def _table(
    found: list[_Found], *, to_predict: bool = False, ids_given: bool = False
) -> pd.DataFrame:
    """Make the table and its ids: the path inside the split's folder without extension.

    Where two images of a split differ by extension only, both keep it; where they are then
    still alike, as those of ``train`` and ``valid`` when all are to be predicted, the id is the
    whole path. Labelled images have one namespace, as tables hold those of train and valid
    together: where a train and a valid image have the same id, every id begins with its split.
    """
    frame = pd.DataFrame(found, columns=["id", "path", "split", "label"], dtype=object)
    if to_predict:
        frame["split"] = "test"
    if not ids_given:
        longer = frame["id"]
        frame["id"] = texts(os.path.splitext(path)[0] for path in longer)
        while (twice := frame.duplicated(["split", "id"], keep=False)).any():
            frame["id"] = frame["id"].where(~twice, longer)
            longer = frame["path"]
    labelled = frame["split"] != "test"
    if frame.loc[labelled & ~frame.duplicated(["split", "id"]), "id"].duplicated().any():
        frame["id"] = frame["id"].where(~labelled, frame["split"] + "/" + frame["id"])
    frame["id"] = texts(map(as_utf8, frame["id"]))
    return frame.sort_values(["split", "id"], ignore_index=True)
