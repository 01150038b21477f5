"""Finds the competition's sample files near a data folder, and reads their first rows."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.archives import unpack
from engine.errors import UserError
from engine.runs.csv_text import read_csv_text

_ROWS = 1000  # of the sample are looked at to know its form


@dataclass(frozen=True)
class SampleHint:
    """The header and some values of a sample file.

    Attributes
    ----------
    file : its path
    header : its columns, the id's first
    values : some distinct values of its second column
    """

    file: Path
    header: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def ranked(self) -> bool:
        """Return whether its only value column holds several words per row, as in ranked lists."""
        lists = [value for value in self.values if len(value.split()) >= 3]
        return len(self.header) == 2 and len(lists) == len(self.values) > 0 and _repeats(lists)

    @property
    def continuous(self) -> bool:
        """Return whether its only value column holds measurements, not classes or P."""
        numbers = [value for value in map(_number, self.values) if value is not None]
        beyond = any(number > 1 and not number.is_integer() for number in numbers)
        return len(self.header) == 2 and len(numbers) == len(self.values) and beyond


def is_sample(name: str) -> bool:
    """Return whether a file is named like a competition's sample, zipped or not."""
    lower = name.lower()
    if not lower.endswith((".csv", ".csv.zip", ".zip")):
        return False
    return re.search(r"sample.*submi|submi.*sample|submission_?format", lower) is not None


def find_samples(*folders: Path) -> list[Path]:
    """Return the sample files in these folders, each file once; zipped ones are unpacked."""
    found: dict[Path, None] = {}
    for folder in folders:
        try:
            names = sorted(path for path in folder.iterdir() if is_sample(path.name))
        except OSError:
            continue
        for path in names:
            if path.suffix.lower() != ".zip":
                found[path] = None
            elif not path.with_suffix("").exists():
                found |= dict.fromkeys(_packed(path))
    return [path for path in found if path.is_file()]


def read_hint(file: Path) -> SampleHint | None:
    """Return the header and some values of a sample file, None if it cannot be read."""
    try:
        header, columns = read_csv_text(file, first=2)
    except UserError:
        return None
    if len(header) < 2 or not len(columns[0]):
        return None
    values = pc.unique(pc.utf8_trim_whitespace(columns[1][:_ROWS])).to_pylist()
    return SampleHint(file, tuple(name.strip() for name in header), tuple(values))


def sample_ids(file: Path) -> pa.StringArray:
    """Return the ids of a sample file."""
    return read_csv_text(file, first=1)[1][0]


def _packed(archive: Path) -> list[Path]:
    try:
        with zipfile.ZipFile(archive) as packed:
            names = [name for name in packed.namelist() if is_sample(name.rpartition("/")[2])]
    except (OSError, zipfile.BadZipFile):
        return []
    if not names and is_sample(archive.name):
        names = [f"{archive.stem}"]
    return [unpack(archive) / name for name in names]


def _repeats(lists: list[str]) -> bool:
    """Tell whether rows have words in common, or each holds five, as a list of classes does."""
    tokens = [set(text.split()) for text in lists]
    return bool(set.intersection(*tokens)) if len(tokens) > 1 else len(lists[0].split()) >= 3


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
