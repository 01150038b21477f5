"""Joins a label table with the images that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.id_columns import find_id_column
from engine.data.label_columns import LabelColumn, find_label_column, group_columns, split_columns
from engine.data.label_values import read_labels
from engine.data.names import AMBIGUOUS, match_names
from engine.data.sample_files import SampleHint
from engine.data.split_words import Split, split_of
from engine.data.tables import Table, plain
from engine.errors import UserError, first_ten
from engine.runs.csv_text import read_csv_text

_TRUE = {"1", "1.0", "true", "t", "yes", "y"}
_PARTITION = {"0": "train", "1": "valid", "2": "test"}  # as CelebA's lists mean it
_FALSE = {"0", "0.0", "false", "f", "no", "n", ""}


@dataclass(frozen=True)
class ColumnChoice:
    """The columns that the user chose, None where the user chose none."""

    id: str | None = None
    label: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class JoinedTable:
    """A label table whose rows are matched with images.

    Attributes
    ----------
    table : the table
    id_column : the column that names the images
    rows : position of each row's image, see :mod:`engine.data.names`, int array (n_rows,)
    label : its labels, None where it has none
    problem : why it has no labels, '' if that needs no message
    """

    table: Table
    id_column: str
    rows: np.ndarray
    label: LabelColumn | None
    problem: UserError | None = None

    @property
    def file(self) -> Path:
        """Return the table's file."""
        return self.table.file

    @property
    def named_split(self) -> Split | None:
        """Return the split given by the table's name, such as train for ``train.csv``."""
        return split_of(self.file.stem)

    @property
    def others(self) -> list[str]:
        """Return the columns that are neither the id nor the label."""
        used = {self.id_column, *(self.label.used if self.label else ())}
        return [name for name in self.table.header if name and name not in used]

    @property
    def groups(self) -> list[str]:
        """Return columns whose equal values may mark images that must stay in one split."""
        return group_columns(self.table, self.others)

    def labels(self, n: int) -> np.ndarray:
        """Return the label of each of ``n`` images, None where there is none, object (n,).

        Raises
        ------
        UserError
            When rows of one image differ.
        """
        assert self.label is not None
        return self.values(self.label.labels, n, one_class=True)

    def values(self, column: pa.StringArray, n: int, *, one_class: bool = False) -> np.ndarray:
        """Return a column's value of each of ``n`` images, None where there is none."""
        found = np.full(n, None, dtype=object)
        at = np.flatnonzero(self.rows >= 0)
        texts = np.array(column.take(pa.array(at)).to_pylist(), dtype=object)
        if one_class and len(np.unique(self.rows[at])) < len(at):
            self._check_alike(at, column)
        found[self.rows[at]] = texts
        return found

    def splits(self, n: int) -> tuple[str | None, np.ndarray]:
        """Return the column of the split, and each image's split (None where unknown).

        Raises
        ------
        UserError
            When a value of the column means no split.
        """
        name, _ = split_columns(self.table, self.others)
        none = np.full(n, None, dtype=object)
        if name is None:
            return None, none
        meant = _meant(self.table, name)
        return (name, self.values(meant, n)) if meant is not None else (None, none)

    def folds(self, n: int) -> tuple[str | None, np.ndarray]:
        """Return the column of the fold, and each image's fold as text."""
        _, name = split_columns(self.table, self.others)
        if name is None:
            return None, np.full(n, None, dtype=object)
        return name, self.values(read_labels(self.table.column(name)), n)

    @property
    def not_found(self) -> list[str]:
        """Return the names that fit no image or more than one."""
        lost = pa.array(np.flatnonzero(self.rows < 0))
        return list(self.table.column(self.id_column).take(lost).to_pylist())

    def _check_alike(self, at: np.ndarray, column: pa.StringArray) -> None:
        codes = np.asarray(pc.fill_null(column, "").dictionary_encode().indices)[at]
        pairs = np.unique(np.column_stack([self.rows[at], codes]), axis=0)
        several = [row for row, count in Counter(pairs[:, 0].tolist()).items() if count > 1]
        if several:
            first = self.table.column(self.id_column)[int(at[self.rows[at] == several[0]][0])]
            raise UserError(
                f"{self.file} holds several labels per image: {len(several):,} images, such as "
                f"{first.as_py()!r}, have rows with different {self.label and self.label.name!r}; "
                "Second Look fits one class per image."
            )


def read_table(file: Path) -> Table:
    """Read a label table.

    Raises
    ------
    UserError
        When it cannot be read, has no rows, or has two columns with the same name.
    """
    header, columns = read_csv_text(file)
    names = tuple(name.strip() for name in header)
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise UserError(
            f"{file} has more than one column called {first_ten(repeated)}; rename or remove one."
        )
    return Table(file, names, columns)


def join(
    table: Table,
    names: pa.StringArray,
    root: Path,
    hint: SampleHint | None = None,
    choice: ColumnChoice | None = None,
    test: np.ndarray | None = None,
) -> JoinedTable | None:
    """Join a table with the images' names; None if no column names them.

    If a table has no labels, or not one class per image, ``problem`` is the reason. If train and
    test have an image of the same name, ``test`` (bool array of shape (n_images,)) distinguishes
    them: ``train.csv`` means the training image, ``test.csv`` the test image, and any other table
    the training image first.

    Raises
    ------
    UserError
        When a column that the user named is missing.
    """
    choice = choice or ColumnChoice()
    if choice.id is not None:
        id_column = table.named(choice.id, "--id-column")
        rows = match_names(table.column(id_column), names, root)
    else:
        found = find_id_column(table, names, root)
        if found is None:
            return None
        id_column, rows = found
    rows = _in_its_split(rows, table, id_column, names, root, test)
    joined = JoinedTable(table, id_column, rows, None)
    wanted = None
    if choice.label is not None:
        if not any(plain(name) == plain(choice.label) for name in table.header):
            return joined
        wanted = table.named(choice.label, "--label-column")
    try:
        return replace(joined, label=find_label_column(table, id_column, hint, wanted))
    except UserError as error:
        return replace(joined, problem=error)


def _in_its_split(
    rows: np.ndarray,
    table: Table,
    id_column: str,
    names: pa.StringArray,
    root: Path,
    test: np.ndarray | None,
) -> np.ndarray:
    if test is None or test.all() or not test.any():
        return rows
    role = split_of(table.file.stem)
    mine = test if role == "test" else ~test
    again = rows == AMBIGUOUS
    if role is not None:  # its other rows may fit images of the other split by chance
        again |= (rows >= 0) & ~mine[rows]
    left, places = np.flatnonzero(again), np.flatnonzero(mine)
    if not len(left):
        return rows
    wanted = table.column(id_column).take(pa.array(left))
    found = match_names(wanted, names.take(pa.array(places)), root)
    rows = rows.copy()
    rows[left] = np.where(found >= 0, places[found.clip(0)], found)
    return rows


def _meant(table: Table, name: str) -> pa.StringArray | None:
    """Return what each row of a split column means, None where the column means no splits."""
    texts = pc.utf8_trim_whitespace(table.column(name))
    different = [text for text in pc.unique(texts).to_pylist() if text]
    yes_no = {text: text.lower() in _TRUE for text in different if text.lower() in _TRUE | _FALSE}
    meant: dict[str, str | None] = {"": None}
    if plain(name) == "partition" and "0" in different and set(different) <= set(_PARTITION):
        return pa.array([_PARTITION.get(text) for text in texts.to_pylist()], pa.string())
    role = split_of(plain(name).removeprefix("is_"))
    if role is not None and len(yes_no) == len(different):
        other = "test" if role == "train" else "train"
        meant |= {text: role if yes else other for text, yes in yes_no.items()}
    else:
        meant |= {text: split_of(text) for text in different}
        strange = [text for text in different if meant[text] is None]
        if len(strange) == len(different) and plain(name) != "split":
            return None
        if strange:
            raise UserError(
                f"{table.file} has values in its column {name!r} that are not train, valid or "
                f"test: {first_ten(sorted(strange))}."
            )
    encoded = texts.dictionary_encode()
    values: Sequence[str | None] = [meant[text] for text in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)
