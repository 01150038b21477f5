"""Files of a miniature data set: images that no two are byte-identical, tables, class folders."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count
from pathlib import Path

from tests.support.tiny_images import image_bytes

_NUMBERS = count()


@cache
def drawn(label: str) -> bytes:
    return image_bytes(label, 0)


def photo(path: Path, label: str = "cat") -> Path:
    """Write an image of a class; every one has other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawn(label) + str(next(_NUMBERS)).encode())
    return path


def write(
    path: Path, header: Sequence[object], rows: Iterable[Sequence[object]], sep: str = ","
) -> Path:
    """Write a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=sep, lineterminator="\n").writerows([header, *rows])
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def folders(at: Path, classes: Iterable[str], n: int, start: str = "") -> None:
    """Write class folders with ``n`` images each."""
    for label in classes:
        for k in range(n):
            photo(at / label / f"{start}{label[:3]}_{k}.jpg", label)


def flat(at: Path, names: Iterable[str], label: str = "cat") -> None:
    for name in names:
        photo(at / name, label)


def above(path: Path) -> Path:
    """Make the folder of a file, and return the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
