"""Finds the column of a table whose values name the images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.names import match_names
from engine.data.tables import Table, plain
from engine.errors import UserError

_PROBED = 200  # rows of each column are looked up to find the one that names the images


_LEAST = 0.5  # of the rows, or of the images, must be found


ID_NAMES = (
    "path", "filepath", "file_path", "image_path", "img_path", "filename", "file_name",
    "image_name", "img_name", "image_file", "file", "image", "img", "image_id", "img_id",
    "imageid", "id_code", "id", "name", "images", "fname", "uuid", "key",
)  # fmt: skip


def find_id_column(
    table: Table, names: pa.StringArray, root: Path
) -> tuple[str, np.ndarray] | None:
    """Return the column whose values name the images, and each row's image; None if there is none.

    Raises
    ------
    UserError
        When two columns name different images equally well.
    """
    scores = []
    for place, column in enumerate(table.columns):
        if table.header[place] and (share := _share(column, names, root)) > 0:
            with_suffix = pc.mean(pc.match_substring_regex(column[:_PROBED], r"\.[A-Za-z]{2,5}$"))
            known = rank(table.header[place], ID_NAMES)
            scores.append((share, with_suffix.as_py() or 0, -known, -place))
    best: tuple[str, np.ndarray, int, tuple[float, ...]] | None = None
    for *score, place in sorted(scores, reverse=True)[:4]:
        rows = match_names(table.columns[-place], names, root)
        found = int(np.count_nonzero(rows >= 0))
        if not found or (best is not None and found < best[2]):
            continue
        if best is None:
            best = (table.header[-place], rows, found, tuple(score))
        elif tuple(score) == best[3] and not np.array_equal(rows, best[1]):
            raise UserError(
                f"{table.file} names the images in the columns {best[0]!r} and "
                f"{table.header[-place]!r}, which differ; choose one with --id-column."
            )
    if best is None or best[2] < _LEAST * min(len(table), len(names)):
        return None
    return best[0], best[1]


def _share(column: pa.StringArray, names: pa.StringArray, root: Path) -> float:
    """Return the share of a column's first different values that name an image."""
    some = column[:_PROBED]
    different = pc.unique(some)
    if len(different) < 0.5 * len(some) or pc.all(is_fraction(different)).as_py():
        return 0.0
    rows = match_names(different, names, root)
    return float(np.count_nonzero(rows >= 0)) / max(len(different), 1)


def is_fraction(texts: pa.StringArray) -> pa.Array:
    """Return for each text whether it is a number with a decimal point."""
    return pc.match_substring_regex(texts, r"^-?[0-9]*\.[0-9]+$")


def is_id(name: str) -> bool:
    """Return whether a column's name means a number or a name of the row."""
    return (
        not plain(name) or plain(name) in ID_NAMES or re.match(r"unnamed", plain(name)) is not None
    )


def rank(name: str, names: Sequence[str]) -> int:
    """Return a column's position in a list of names, the list's length if it is not in it."""
    return names.index(plain(name)) if plain(name) in names else len(names)
