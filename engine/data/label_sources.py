"""Reads the tables of a data folder and joins them with its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.data.file_kinds import kind_of
from engine.data.label_tables import ColumnChoice, JoinedTable, join, read_table
from engine.data.name_lists import is_split_list, list_tables
from engine.data.sample_files import SampleHint, is_sample, read_hint
from engine.data.survey import Survey
from engine.errors import UserError

_MOST_TABLES = 40  # of a folder are read; the others lie deeper


@dataclass(frozen=True)
class FolderLabels:
    """Labels of the images from their folders or file names, None without one, object (n,)."""

    source: str
    label: np.ndarray
    folders: list[str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableLabels:
    """The tables of a data folder, joined with its images.

    Attributes
    ----------
    root : the data folder
    names : the images' names, string array (n,)
    joined : tables whose columns name the images
    unmatched : tables whose columns do not
    samples : the competition's sample files
    explicit : whether the user named the table
    columns : the columns that the user named
    """

    root: Path
    names: pa.StringArray
    joined: list[JoinedTable]
    unmatched: list[Path]
    samples: tuple[Path, ...]
    explicit: bool
    columns: ColumnChoice = field(default_factory=ColumnChoice)


def read_tables(
    found: Survey,
    names: pa.StringArray,
    samples: tuple[Path, ...],
    labels: Path | None,
    columns: ColumnChoice,
    test: np.ndarray,
) -> TableLabels:
    """Read and join the tables of a data folder, or the one that the user named.

    Raises
    ------
    UserError
        When the named table or one of the named columns cannot be used.
    """
    hints = [hint for sample in samples if (hint := read_hint(sample)) is not None]
    hint = hints[0] if hints else None
    if labels is not None:
        named = _named_table(labels, names, found.root, columns, test)
        return TableLabels(found.root, names, [named], [], samples, True, columns)
    _refuse_ranked(hints, found.root)
    matched: list[JoinedTable] = []
    unmatched: list[Path] = []
    files = sorted(found.tables.items(), key=lambda item: (item[0].count("/"), item[0]))
    for name, file in files[:_MOST_TABLES]:
        if is_sample(file.name) or file in samples:
            continue
        is_list = kind_of(name) == "list"
        try:
            forms = list_tables(file) if is_list else [read_table(file)]
            tried = (join(form, names, found.root, hint, columns, test) for form in forms if form)
            joined = next((each for each in tried if each is not None), None)
        except UserError as error:
            if columns.id is not None and "--id-column" in error.sentence:
                continue
            found.ignore("tables that cannot be read", name)
            continue
        if joined is not None:
            matched.append(joined)
        elif is_list and is_split_list(file):
            found.foreign.append(name)
            found.ignore("files of kinds that are not read", name)
        elif is_list:
            found.ignore("not images", name)
        else:
            unmatched.append(file)
            found.ignore("tables that name no images", name)
    return TableLabels(found.root, names, matched, unmatched, samples, False, columns)


def _named_table(
    labels: Path, names: pa.StringArray, root: Path, columns: ColumnChoice, test: np.ndarray
) -> JoinedTable:
    """Return the table that the user named, joined with the images."""
    table = read_table(labels.absolute())
    joined = join(table, names, root, None, columns, test)
    if joined is None:
        raise UserError(
            f"none of the columns {table.shown} of {labels} names the images in {root}, such as "
            f"{names[0].as_py()}; choose one with --id-column C."
        )
    if joined.problem is not None:
        raise joined.problem
    if joined.label is None:
        raise UserError(
            f"it is not clear which column of {labels} holds the class; choose one of "
            f"{table.shown} with --label-column C."
        )
    return joined


def _refuse_ranked(hints: Sequence[SampleHint], root: Path) -> None:
    for hint in hints:
        if hint.ranked:
            raise UserError(
                f"{hint.file} asks for ranked lists of classes ({hint.values[0]!r}), but a model "
                f"fitted to {root} predicts one class per image. To fit the classes anyway, give "
                "the table of labels (--labels FILE)."
            )
