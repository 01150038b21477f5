"""The images found in a data folder, and the sources of their labels and splits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LISTED_COLUMNS = ["id", "path", "split", "label", "group", "fold"]


@dataclass(frozen=True)
class LabelSource:
    """The source of the labels: "folders", "file names" or a table's name, and its columns."""

    source: str
    id_column: str | None = None
    label_column: str | None = None


@dataclass(frozen=True)
class GroupSource:
    """A column whose values must not be divided between train and valid.

    Attributes
    ----------
    column : its name
    n : number of different values among the labelled images
    suggested : True if only its name suggests a group, False if ``--group`` chose it
    """

    column: str
    n: int
    suggested: bool


@dataclass(frozen=True)
class Origin:
    """The sources of labels, splits and groups, and warnings for the user.

    Attributes
    ----------
    labels : where the labels came from
    split : "folders", "file names", "none", or a table and its column
    group : the column of groups, if any
    test_folders : folders that hold the test images, relative to the root where they are below it
    samples : the competition's sample files near the data
    ignored : number of ignored files, by reason
    warnings : sentences
    unread : files that may hold images or labels in an unsupported form, with advice
    first_ignored : the first of the ignored files, by reason where a name is known
    """

    labels: LabelSource
    split: str = "none"
    group: GroupSource | None = None
    test_folders: tuple[str, ...] = ()
    samples: tuple[Path, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    first_ignored: Mapping[str, str] = field(default_factory=dict)

    @property
    def ignored_lines(self) -> tuple[str, ...]:
        """Return a text for each reason, such as "not images: notes.pdf and 2 more"."""
        return tuple(self._ignored(reason, n) for reason, n in self.ignored.items())

    def _ignored(self, reason: str, n: int) -> str:
        if not (first := self.first_ignored.get(reason)):
            return f"{reason} ({n:,})"
        return f"{reason}: {first}" + (f" and {n - 1:,} more" if n > 1 else "")

    def summary(self) -> dict[str, Any]:
        """Return the part that a run stores in its config."""
        return {
            "labels": asdict(self.labels),
            "split": self.split,
            "group": None if self.group is None else asdict(self.group),
            "test_folders": list(self.test_folders),
            "samples": [str(path) for path in self.samples],
            "ignored": dict(self.ignored),
            "warnings": list(self.warnings),
        }


NO_ORIGIN = Origin(LabelSource("none"))


@dataclass(frozen=True)
class Listing:
    """The files that were found, before they are read.

    Attributes
    ----------
    root : the folder that paths are relative to
    images : table of id, path, split, label, group, fold (the last three None where unknown),
        sorted by split and id
    origin : the sources of labels, splits and groups
    """

    root: Path
    images: pd.DataFrame
    origin: Origin = NO_ORIGIN

    @property
    def ignored(self) -> int:
        """Return the number of files passed over."""
        return sum(self.origin.ignored.values())


@dataclass(frozen=True)
class Found:
    """Columns of the images found, all of one length; ``id`` is the path inside the split."""

    id: list[str]
    path: list[str]
    split: np.ndarray
    label: np.ndarray
    group: np.ndarray
    fold: np.ndarray

    @classmethod
    def plain(cls, id: list[str], path: list[str], split: str) -> Found:
        """Return images of one split without label, group and fold."""
        none = np.full(len(id), None, dtype=object)
        return cls(id, path, np.full(len(id), split, dtype=object), none, none, none)

    def table(self, *, to_predict: bool = False, ids_given: bool = False) -> pd.DataFrame:
        """Make the images table and its ids: the path inside the split, without extension.

        Where two images of a split differ by extension only, both keep it; where they are then
        still alike, as those of ``train`` and ``valid`` when all are to be predicted, the id is
        the whole path. Labelled images have one namespace, as tables hold those of train and
        valid together: where a train and a valid image have the same id, every id begins with
        its split.
        """
        columns = dict(zip(LISTED_COLUMNS, vars(self).values(), strict=True))
        frame = pd.DataFrame({name: texts(values) for name, values in columns.items()})
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


def texts(values: Iterable[str | None]) -> pd.Series[str]:
    """Return a column of Python strings, as pandas' own type cannot hold every file name."""
    return pd.Series(list(values), dtype=object)


def as_utf8(name: str) -> str:
    """Replace bytes that are not UTF-8, which file names hold as lone surrogates, by escapes."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()
