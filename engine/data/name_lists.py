"""Reads text files that name one image per line, alone or with its class, split or attributes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from engine.data.split_words import split_of, words
from engine.data.tables import Table, is_number
from engine.errors import UserError
from engine.runs.opening import read_file

_LISTS = frozenset(
    "list lists label labels annotation annotations annos partition split index indexed "
    "files".split()
)
_NUMBERED_NAMES = "images.txt"  # beside a split by numbers, as in CUB-200-2011


def may_list_images(file: Path) -> bool:
    """Return whether a text file may name images, by its own name."""
    return split_of(file.stem) is not None or bool(_LISTS & set(words(file.stem)))


def is_split_list(file: Path) -> bool:
    """Return whether a text file, by its name, marks each image as training or not."""
    return {"train", "test"} <= set(words(file.stem))


def list_tables(file: Path) -> list[Table]:
    """Return two readings of a list as a table: by whole lines, and by columns.

    Without a header the second column is called ``column 2``, or gets a name from the file's name;
    further columns are left out.

    Raises
    ------
    UserError
        When it cannot be read.
    """
    lines = _lines(file)
    if is_split_list(file) and (numbered := _numbered(file, lines)):
        return [numbered]
    whole = Table(file, ("name",), [pa.array(lines, pa.string())])
    columns = _columns(file, lines)
    return [whole, columns] if columns else [whole]


def _lines(file: Path) -> list[str]:
    try:
        lines = read_file(file).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} cannot be read as a list of names; save it as UTF-8, one name per line."
        ) from error
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _numbered(file: Path, lines: list[str]) -> Table | None:
    """Join a split by numbers with the names of these numbers in ``images.txt``."""
    beside = file.with_name(_NUMBERED_NAMES)
    if not beside.is_file():
        return None
    names = dict(pair for line in _lines(beside) if len(pair := line.split(None, 1)) == 2)
    pairs = [line.split() for line in lines]
    if not all(len(pair) == 2 and pair[0] in names and pair[1] in ("0", "1") for pair in pairs):
        return None
    paths = [names[number].strip() for number, _ in pairs]
    return _table(file, ("name", "is_train"), list(zip(paths, (p[1] for p in pairs), strict=True)))


def _columns(file: Path, lines: list[str]) -> Table | None:
    rows = [_fields(line) for line in lines]
    for first in range(min(3, len(rows))):  # a number of rows and a header may come before
        n = len(rows[first])
        if n > 1 and all(len(row) == n for row in rows[first:]):
            header = rows[first - 1] if first else []
            if first == 0 and _is_header(rows):
                header, first = rows[0], 1
            if len(header) == n - 1:
                header = ["name", *header]
            if len(header) == n and len(set(header)) == n:
                return _table(file, tuple(header), rows[first:])
            return _table(file, ("name", _second(file)), [row[:2] for row in rows[first:]])
    pairs = [line.rsplit(None, 1) for line in lines]  # of names that hold spaces
    if pairs and all(len(pair) == 2 and pair[1].isdigit() for pair in pairs):
        return _table(file, ("name", _second(file)), pairs)
    return None


def _fields(line: str) -> list[str]:
    return [part.strip() for part in line.split("\t")] if "\t" in line else line.split()


def _is_header(rows: list[list[str]]) -> bool:
    """Tell whether the first row holds no number where the others hold nothing else."""
    numeric = [any(is_number(field) for field in row[1:]) for row in rows[:2]]
    return len(rows) > 1 and numeric == [False, True] and all(map(is_number, rows[1][1:]))


def _second(file: Path) -> str:
    if is_split_list(file):
        return "is_train"
    return "partition" if "partition" in words(file.stem) else "column 2"


def _table(
    file: Path, header: tuple[str, ...], rows: list[list[str]] | list[tuple[str, str]]
) -> Table:
    columns = zip(*rows, strict=True)
    return Table(file, header, [pa.array(list(column), pa.string()) for column in columns])
