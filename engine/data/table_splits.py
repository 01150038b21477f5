"""Reads splits, folds and groups from tables, and compares them with the folders."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from engine.data.label_sources import TableLabels
from engine.data.label_tables import JoinedTable
from engine.data.label_values import read_labels
from engine.data.listing import GroupSource
from engine.data.names import match_names
from engine.data.sample_files import sample_ids
from engine.errors import UserError, first_ten


def table_split(
    tables: TableLabels, split: np.ndarray, named: bool, used: Sequence[JoinedTable]
) -> tuple[np.ndarray, str | None]:
    """Return each image's split, and the table's column that gave it, if any.

    Parameters
    ----------
    tables : the tables joined with the images
    split : object array of shape (n,), each image's split by its folder
    named : whether folder names gave the splits
    used : the tables whose labels are used

    Raises
    ------
    UserError
        When a column contradicts the folders.
    """
    n = len(split)
    for table in [*used, *(table for table in tables.joined if table not in used)]:
        column, said = table.splits(n)
        if column is None:
            continue
        told = said != None  # noqa: E711
        clash = told & (said != split) & ~((split == "train") & (said == "valid"))
        if named and clash.any():
            first = tables.names[int(np.flatnonzero(clash)[0])].as_py()
            raise UserError(
                f"{table.file} names the split {said[clash][0]} for {first} in its column "
                f"{column!r}, but the image lies in a {split[clash][0]} folder; give the table "
                "alone (--labels), or remove that column."
            )
        return np.where(told, said, split), f"{table.file.name}, column {column}"
    by_name, further = _first_of_several(
        [table for table in tables.joined if table.named_split is not None]
    )
    if not by_name:
        return split, None
    said = np.full(n, None, dtype=object)
    # An image in both train and valid is held out: trainval.txt lists those of val.txt too.
    for table in sorted(by_name, key=lambda table: table.named_split != "train"):
        rows = table.rows[table.rows >= 0]
        if not named and (said[rows] == "train").any() and table.named_split == "test":
            _refuse_two_splits(tables, by_name, table, int(rows[said[rows] == "train"][0]))
        said[rows] = table.named_split
    changed = (said != None) & (said != split)  # noqa: E711
    if named:
        changed &= (split == "train") & (said == "valid")
    if not changed.any() and (named or len({t.named_split for t in by_name}) < 2):
        return split, None
    files = ", ".join(table.file.name for table in by_name)
    return np.where(changed, said, split), files + further


def _first_of_several(by_name: list[JoinedTable]) -> tuple[list[JoinedTable], str]:
    """Return the lists of the first split, ``train1`` and ``test1`` of ten, and what to say."""
    numbers = [re.search(r"[0-9]+$", table.file.stem) for table in by_name]
    different = {int(number[0]) for number in numbers if number}
    stems = [re.sub(r"[0-9]+$", "", table.file.stem) for table in by_name]
    if None in numbers or len(different) < 2 or not stems.count(stems[0]) == len(different):
        return by_name, ""
    first = min(different)
    kept = [
        t for t, number in zip(by_name, numbers, strict=True) if number and int(number[0]) == first
    ]
    return kept, f" (the first of {len(different)} splits)"


def _refuse_two_splits(
    tables: TableLabels, by_name: Sequence[JoinedTable], test: JoinedTable, image: int
) -> None:
    train = next(t for t in by_name if t.named_split == "train" and image in t.rows)
    raise UserError(
        f"{train.file} and {test.file} both list {tables.names[image].as_py()}, which cannot be in "
        "train and test; remove one of the two, or give a table with the columns path and split "
        "(--labels FILE)."
    )


def unlisted(
    tables: TableLabels, split: np.ndarray, label: np.ndarray, used: Sequence[JoinedTable]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Find the test images among the unlabelled ones, by a sample file or a list.

    Returns
    -------
    split : object array of shape (n,), with the test images found
    dropped : bool array of shape (n,), unlabelled images that are not read
    warnings : sentences
    """
    nothing = np.array([one is None for one in label]) & (split == "train")
    listed = np.zeros(len(label), dtype=bool)
    for table in used:
        listed[table.rows[table.rows >= 0]] = True
    wanted = np.zeros(len(label), dtype=bool)
    for sample in tables.samples:
        rows = match_names(sample_ids(sample), tables.names, tables.root)
        wanted[rows[rows >= 0]] = True
    test = nothing & (wanted | listed)
    dropped = nothing & ~test
    files = ", ".join(table.file.name for table in used)
    more = []
    if dropped.any():
        more.append(
            f"{int(dropped.sum()):,} images are not listed in {files} and are not read, such as "
            f"{tables.names[int(np.flatnonzero(dropped)[0])].as_py()}."
        )
    return np.where(test, "test", split), dropped, more


def table_folds(
    tables: TableLabels, n: int, split: np.ndarray, used: Sequence[JoinedTable]
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Return each image's fold, the splits with the first fold held out, and the column."""
    for table in used or tables.joined:
        column, fold = table.folds(n)
        if column is None:
            continue
        learnt = (split == "train") & (fold != None)  # noqa: E711
        names = sorted(set(fold[learnt]), key=lambda text: (len(text), text))
        if len(names) < 2 or (split == "valid").any():
            return fold, split, None
        split = np.where(learnt & (fold == names[0]), "valid", split)
        return fold, split, f"{table.file.name}, column {column} ({names[0]} is held out)"
    return np.full(n, None, dtype=object), split, None


def table_groups(
    tables: TableLabels, n: int, split: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, GroupSource | None]:
    """Return each image's group by ``--group``, and its column or a suggested one.

    Parameters
    ----------
    tables : the tables joined with the images
    n : number of images
    split, label : object arrays of shape (n,)

    Raises
    ------
    UserError
        When no table has the column.
    """
    learnt = (split != "test") & np.array([one is not None for one in label])
    if (column := tables.columns.group) is not None:
        for table in tables.joined:
            if column in table.table.header:
                values = table.values(read_labels(table.table.column(column)), n)
                return values, GroupSource(column, n_classes(values[learnt]), suggested=False)
        there = [name for table in tables.joined for name in table.table.header]
        has = (
            f"the tables beside the images have {first_ten(there)}"
            if there
            else "there is no table"
        )
        raise UserError(
            f"is not a column of a table of these images: {has}.", option="group", value=column
        )
    none = np.full(n, None, dtype=object)
    for table in tables.joined:
        for column in table.groups:
            count = n_classes(table.values(table.table.column(column), n)[learnt])
            if 1 < count < learnt.sum():
                return none, GroupSource(column, count, suggested=True)
    return none, None


def n_classes(labels: np.ndarray) -> int:
    """Return the number of distinct labels, without None."""
    return len({label for label in labels if label is not None})
