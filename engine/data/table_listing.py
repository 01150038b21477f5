"""Lists the images of a label table that is the data itself: one row per image."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.label_columns import find_label_column, group_columns
from engine.data.label_tables import ColumnChoice, JoinedTable, read_table
from engine.data.label_values import read_labels
from engine.data.listing import Found, GroupSource, LabelSource, Listing, Origin
from engine.data.names import AMBIGUOUS, as_paths, match_names
from engine.data.sample_files import find_samples
from engine.data.survey import survey
from engine.data.tables import Table, plain
from engine.errors import UserError, first_ten

_PATH_NAMES = (
    "path", "filepath", "file_path", "image_path", "img_path", "filename", "file_name",
    "image_name", "img_name", "image_file", "file", "image", "img", "image_id", "img_id",
    "imageid", "id_code", "fname", "name", "id",
)  # fmt: skip


def list_table(file: Path, choice: ColumnChoice, *, to_predict: bool = False) -> Listing:
    """List the images that a table names.

    A file is found by its path, absolute or below the table's folder; else it is the image below
    that folder whose path has the longest ending in common with it, if only one has. A row without
    label is a test image, unless a column gives its split.

    Raises
    ------
    UserError
        When a column is missing or ambiguous, a row names no image, or two rows name the same one.
    """
    table = read_table(file)
    column = _path_column(table, choice)
    if not len(table):
        raise UserError(f"{file} lists no image: it has no rows after its header.")
    _refuse_gaps(table, column)
    paths, ambiguous, gone = _files(table, column)
    label = find_label_column(table, column, None, _wanted(table, choice))
    if label is None and not to_predict:
        raise UserError(
            f"{file} needs a column of labels; it has {table.shown}, and it is not clear which of "
            "them holds the class: choose it with --label-column C."
        )
    n = len(paths)
    joined = JoinedTable(table, column, np.arange(n), label)
    labels = np.full(n, None, dtype=object) if label is None else joined.labels(n)
    split_column, split = joined.splits(n)
    fold_column, fold = joined.folds(n)
    split = np.where(split == None, np.where(labels == None, "test", "train"), split)  # noqa: E711
    source = f"column {split_column}" if split_column else "none"
    learnt = (split == "train") & (fold != None)  # noqa: E711
    names = sorted(set(fold[learnt]), key=lambda text: (len(text), text))
    if len(names) > 1 and not (split == "valid").any():
        split = np.where(learnt & (fold == names[0]), "valid", split)
        source = f"column {fold_column} ({names[0]} is held out)"
    group, found_group = _group(joined, choice, n, split != "test")
    ids, given = _ids(table, column, paths)
    frame = _without_repeats(file, Found(ids, paths, split, labels, group, fold), to_predict, given)
    warnings = _unread_rows(file, n, ambiguous, gone)
    missing = int((labels == None).sum())  # noqa: E711
    if label is not None and missing:
        how = "have no label" if split_column else "have no label and are test images"
        warnings.append(f"{missing:,} rows of {file.name} {how}.")
    told = found_group.column if found_group else None
    used = {column, split_column, fold_column, "id" if given else None, told}
    left = [name for name in joined.others if name not in used]
    if left:
        warnings.append(f"Columns of {file.name} that are not used: {', '.join(left[:12])}.")
    origin = Origin(
        LabelSource(file.name, column, label.name if label else None), source, found_group,
        (), tuple(find_samples(file.parent, file.parent.parent)), {}, tuple(warnings),
    )  # fmt: skip
    return Listing(file.parent, frame, origin)


def _unread_rows(file: Path, n: int, ambiguous: list[str], gone: list[str]) -> list[str]:
    """Return a warning for rows that fit several files, and one for rows without a file."""
    warnings = []
    if ambiguous:
        warnings.append(
            f"{len(ambiguous):,} rows of {file.name} fit more than one file and are not read, such "
            f"as {ambiguous[0]!r}."
        )
    if gone:
        warnings.append(
            f"{len(gone):,} of {n:,} files that {file.name} names are not there, such as {gone[0]}."
        )
    return warnings


def _wanted(table: Table, choice: ColumnChoice) -> str | None:
    return None if choice.label is None else table.named(choice.label, "--label-column")


def _path_column(table: Table, choice: ColumnChoice) -> str:
    if choice.id is not None:
        return table.named(choice.id, "--id-column")
    for name in _PATH_NAMES:
        for header in table.header:
            if plain(header) == name:
                return header
    raise UserError(
        f"{table.file} needs a column with the images' paths or names, such as path; it has "
        f"{table.shown}: choose one with --id-column C."
    )


def _refuse_gaps(table: Table, column: str) -> None:
    for name in {column, *(header for header in table.header if header == "id")}:
        lost = np.flatnonzero(np.asarray(pc.equal(pc.utf8_trim_whitespace(table.column(name)), "")))
        if lost.size:
            rows = first_ten([str(row + 1) for row in lost])
            raise UserError(
                f"{table.file} has no {name} in row {rows} (the first row after the header is 1)."
            )


def _files(table: Table, column: str) -> tuple[list[str], list[str], list[str]]:
    """Return each row's file, relative to the table's folder or absolute.

    Also the texts that fit several files, and those that fit none.
    """
    folder = table.file.parent
    given = as_paths(table.column(column), folder)
    paths = given.to_pylist()
    lost = _not_there(folder, paths)
    ambiguous: list[str] = []
    gone: list[str] = []
    if len(lost):
        found = survey(folder)
        names, places = found.images()
        rows = match_names(given.take(pa.array(lost)), pa.array(names, pa.string()), folder)
        taken = set(paths) - {paths[row] for row in lost}
        for row, place in zip(lost.tolist(), rows.tolist(), strict=True):
            if place >= 0 and places[place] not in taken:
                paths[row] = places[place]
            elif place == AMBIGUOUS:
                ambiguous.append(paths[row])
            else:
                gone.append(paths[row])
    return paths, ambiguous, gone


def _not_there(folder: Path, paths: list[str]) -> np.ndarray:
    """Return the positions of paths that are no file, looking into each folder once."""
    listed: dict[str, set[str]] = {}
    lost = []
    for position, path in enumerate(paths):
        above, _, name = path.rpartition("/")
        if above not in listed:
            try:
                listed[above] = set(os.listdir(os.path.join(folder, above)))
            except (OSError, ValueError):
                listed[above] = set()
        if name not in listed[above]:
            lost.append(position)
    return np.array(lost, dtype=np.int64)


def _ids(table: Table, column: str, paths: list[str]) -> tuple[list[str], bool]:
    if "id" in table.header and column != "id":
        return table.column("id").to_pylist(), True
    return paths, False


def _without_repeats(file: Path, found: Found, to_predict: bool, given: bool) -> pd.DataFrame:
    repeated = pd.Series(found.path, dtype=object)
    twice = repeated[repeated.duplicated()].tolist()
    if twice:
        raise UserError(
            f"{file} lists images more than once: {first_ten(twice)}; keep one row per image."
        )
    if to_predict and (found.split == "test").any():  # as with a folder
        kept = np.flatnonzero(found.split == "test")
        found = Found(
            [found.id[row] for row in kept], [found.path[row] for row in kept], found.split[kept],
            found.label[kept], found.group[kept], found.fold[kept],
        )  # fmt: skip
    listed = found.table(to_predict=to_predict, ids_given=given)
    same = listed["id"][listed.duplicated(["split", "id"])].tolist()
    if same:
        raise UserError(
            f"{file} has ids that occur more than once in a split: {first_ten(same)}; give every "
            "image its own id."
        )
    return listed


def _group(
    joined: JoinedTable, choice: ColumnChoice, n: int, learnt: np.ndarray
) -> tuple[np.ndarray, GroupSource | None]:
    if choice.group is not None:
        column = joined.table.named(choice.group, "--group")
        values = joined.values(read_labels(joined.table.column(column)), n)
        count = len({value for value in values[learnt] if value is not None})
        return values, GroupSource(column, count, suggested=False)
    none = np.full(n, None, dtype=object)
    for column in group_columns(joined.table, joined.others):
        count = len(set(joined.values(joined.table.column(column), n)[learnt]))
        if 1 < count < learnt.sum():
            return none, GroupSource(column, count, suggested=True)
    return none, None
