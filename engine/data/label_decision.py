"""Chooses the source of labels, splits and groups: folders, file names or tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.data.label_sources import FolderLabels, TableLabels
from engine.data.label_tables import JoinedTable, read_table
from engine.data.listing import GroupSource, LabelSource
from engine.data.split_words import are_parts, is_generic, words
from engine.data.table_splits import n_classes, table_folds, table_groups, table_split, unlisted
from engine.errors import UserError, first_ten


@dataclass(frozen=True)
class Decision:
    """Label, split, group and fold of each image, their sources, and warnings."""

    source: LabelSource
    label: np.ndarray
    split: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    dropped: np.ndarray
    split_source: str | None
    suggested: GroupSource | None
    ignored: dict[str, int]
    warnings: tuple[str, ...]


def decide(tables: TableLabels, mine: FolderLabels, split: np.ndarray, *, named: bool) -> Decision:
    """Choose between the labels and splits of folders, file names and tables; see DECISIONS.

    Parameters
    ----------
    mine : labels of folders or file names
    split : each image's split by its folder, object array of shape (n,)
    named : whether folder names gave the splits; if not, all images are "train"

    Raises
    ------
    UserError
        When two sources differ, or a table is of another task.
    """
    n = len(tables.names)
    learnt = split != "test"
    labelled = [table for table in tables.joined if table.label is not None]
    mine_label = mine.label
    own = n_classes(mine_label[learnt]) > 1
    if own and not tables.explicit:
        classes = {one for one in mine_label if one is not None}
        labelled = [table for table in labelled if _speaks_of_classes(table, n, classes)]
    label, used = _merged(tables, labelled, n, learnt)
    warnings: list[str] = []
    source = LabelSource(mine.source)
    if used and own and not tables.explicit:
        if _agree(mine_label[learnt], label[learnt]) or _continue(mine_label, label, learnt):
            mine_first = (mine_label != None) & (learnt | (label == None))  # noqa: E711
            label = np.where(mine_first, mine_label, label)
            if not _same_names(mine_label, label):
                label = mine_label
        elif mine.source == "folders" and _are_no_classes(mine.folders):
            source = _source(used)
        else:
            _refuse_both(tables, mine, label, learnt, used[0])
    elif used:
        source = _source(used)
        label = np.where((label == None) & ~learnt, mine_label, label)  # noqa: E711
    else:
        label = mine_label
        if not own or _are_no_classes(mine.folders):
            _refuse_problem(tables, mine)
    split, split_source = table_split(tables, split, named, used)
    group, found_group = table_groups(tables, n, split, label)
    dropped = np.zeros(n, dtype=bool)
    if used and not named and source.source not in ("folders", "file names"):
        split, dropped, more = unlisted(tables, split, label, used)
        warnings += more
    warnings += _losses(tables, used, source)
    fold, split, fold_source = table_folds(tables, n, split, used)
    kept = label.copy()
    kept[dropped] = None
    ignored = {"images that no table lists": int(dropped.sum())} if dropped.any() else {}
    return Decision(
        source, kept, split, group, fold, dropped, fold_source or split_source, found_group,
        ignored, tuple(warnings),
    )  # fmt: skip


def _speaks_of_classes(table: JoinedTable, n: int, classes: set[str]) -> bool:
    """Tell whether a table's labels are classes: by its column's name, or as folders are called."""
    if table.label is None or table.label.sure:
        return table.label is not None
    return {one for one in table.labels(n) if one is not None} <= classes


def _merged(
    tables: TableLabels, labelled: Sequence[JoinedTable], n: int, learnt: np.ndarray
) -> tuple[np.ndarray, list[JoinedTable]]:
    """Return the labels of all tables that agree, and those tables.

    Raises
    ------
    UserError
        When two of them give one image different labels.
    """
    label = np.full(n, None, dtype=object)
    used: list[JoinedTable] = []
    for table in labelled:
        mine = table.labels(n)
        both = np.array([a is not None and b is not None for a, b in zip(label, mine, strict=True)])
        if used and both.any() and not _agree(label[both], mine[both]):
            raise UserError(
                f"{used[0].file} (column {used[0].label and used[0].label.name!r}) and "
                f"{table.file} (column {table.label and table.label.name!r}) both label the "
                "images and differ; choose one with --labels FILE."
            )
        if used and both.any() and (label[both] != mine[both]).any():
            continue  # other names for the same classes
        label = np.where(label == None, mine, label)  # noqa: E711
        used.append(table)
    return label, used


def _refuse_both(
    tables: TableLabels,
    mine: FolderLabels,
    label: np.ndarray,
    learnt: np.ndarray,
    table: JoinedTable,
) -> None:
    places = np.flatnonzero(learnt & (mine.label != label))
    pairs = [(tables.names[int(p)].as_py(), mine.label[p], label[p]) for p in places]
    name, one, other = next(pair for pair in pairs if None not in pair)
    what = "folder" if mine.source == "folders" else "name"
    raise UserError(
        f"{table.file} and the {mine.source} of {tables.root} give different classes: {name} is "
        f"{other!r} in the table's column {table.label and table.label.name!r}, but {one!r} by its "
        f"{what}. Give --labels {table.file} if the table is correct; otherwise move the table to "
        "another folder."
    )


def _refuse_problem(tables: TableLabels, mine: FolderLabels) -> None:
    """Say why no table gives labels, where folders and names give none either."""
    for table in tables.joined:
        if table.problem is not None:
            raise table.problem
    named = n_classes(mine.label) > 0
    if named:
        return
    if tables.unmatched:
        file = tables.unmatched[0]
        raise UserError(
            f"{tables.root} holds no labelled image: none of the columns "
            f"{first_ten(list(read_table(file).header))} of {file} names its images, such as "
            f"{tables.names[0].as_py()}; name the columns with --labels {file.name} "
            "--id-column C --label-column C."
        )
    if tables.joined and not any(table.label for table in tables.joined):
        table = max(tables.joined, key=lambda table: len(table.others))
        raise UserError(
            f"{tables.root} holds no labelled image: {table.file} names the images in its column "
            f"{table.id_column!r}, but it is not clear which of its columns {table.table.shown} "
            "holds the class; choose it with --label-column C."
        )


def _losses(tables: TableLabels, used: Sequence[JoinedTable], source: LabelSource) -> list[str]:
    found = []
    for table in used:
        lost, name = table.not_found, table.file.name
        if lost:
            found.append(
                f"{len(lost):,} of {len(table.rows):,} rows of {name} do not fit exactly one "
                f"image, such as {lost[0]!r}."
            )
        assert table.label is not None
        if table.label.labels.null_count and source.source == name:
            found.append(f"{table.label.labels.null_count:,} rows of {name} have no label.")
        passed = [c for c in table.others if c not in table.groups]
        if passed and source.source == name:
            found.append(f"Columns of {name} that are not used: {first_ten(passed)}.")
    found += [
        f"{table.file.name} is not used for labels: {table.problem}"
        for table in tables.joined
        if table.problem is not None and not tables.explicit and table.named_split != "test"
    ]
    return found


def _source(used: Sequence[JoinedTable]) -> LabelSource:
    names = ", ".join(table.file.name for table in used)
    assert used[0].label is not None
    return LabelSource(names, used[0].id_column, used[0].label.name)


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two labellings divide the images that both label in the same way.

    A name that both use must mean the same class in both.
    """
    pairs = {(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None}
    ones, others = {a for a, _ in pairs}, {b for _, b in pairs}
    exchanged = any(a != b and (a in others or b in ones) for a, b in pairs)
    return bool(pairs) and len(pairs) == len(ones) == len(others) and not exchanged


def _continue(one: np.ndarray, other: np.ndarray, learnt: np.ndarray) -> bool:
    """Tell whether the other labelling labels none of the same images, with the same classes."""
    both = learnt & (one != None) & (other != None)  # noqa: E711
    return not both.any() and _same_names(one, other)


def _same_names(one: np.ndarray, other: np.ndarray) -> bool:
    return {a for a in one if a is not None} >= {b for b in other if b is not None}


def _are_no_classes(folders: Sequence[str]) -> bool:
    """Tell whether folders are parts of one whole by their names, as ``images_1``, ``images_2``."""
    numbered = are_parts(list(folders)) and any(
        word in ("part", "batch", "shard", "chunk", "images", "image", "img", "imgs", "folder")
        for word in words(folders[0])
    )
    return numbered or all(map(is_generic, folders))
