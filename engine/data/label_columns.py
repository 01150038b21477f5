"""Finds the columns of a table with the class, the split and the group of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.id_columns import is_fraction, is_id
from engine.data.label_values import is_bits, one_hot, other_task, read_labels
from engine.data.sample_files import SampleHint
from engine.data.split_words import words
from engine.data.tables import Table, plain
from engine.errors import UserError, first_ten

# The first row that holds a name of the table decides.
_LABEL_NAMES = (
    "label labels target targets y y_true true_label ground_truth gt class classes class_name "
    "classname class_label label_name labelname".split(),
    "category categories category_name class_id classid label_id category_id breed species "
    "diagnosis dx disease level grade variety cultivar type tag tags emotion genus defect cls "
    "animal plant scene finding finding_labels annotation sentiment".split(),
)
_SPLIT_NAMES = (
    "split set subset partition phase fold_type dataset data_split is_valid is_val valid_set "
    "is_test is_train usage part".split()
)
_FOLD_NAMES = ("fold", "folds", "kfold", "k_fold", "cv_fold")
_GROUP_WORDS = frozenset(
    "patient subject driver session person user participant case lesion study scan series slide "
    "burst video clip sequence animal individual donor plot tree camera site".split()
)


@dataclass(frozen=True)
class LabelColumn:
    """The labels of the rows, and the columns that hold them.

    Attributes
    ----------
    name : name of the column, or of all columns, for messages
    used : the columns
    labels : string array (n_rows,)
    sure : True if the column's name means a class, False if it is only the last one left
    """

    name: str
    used: tuple[str, ...]
    labels: pa.StringArray
    sure: bool = True


class OtherTask(UserError):
    """Raised for a table of another task than one class per image."""


def find_label_column(
    table: Table, id_column: str, hint: SampleHint | None, wanted: str | None = None
) -> LabelColumn | None:
    """Return the column, or the 0/1 columns, that hold the class; None if there is none.

    Raises
    ------
    OtherTask
        When an image has several labels, or the labels are measurements.
    UserError
        When several columns may be meant.
    """
    others = [name for name in table.header if name != id_column and name]
    name = wanted or _label_name(table, others, hint)
    if name is not None:
        labels = read_labels(table.column(name))
        if task := other_task(name, labels):
            raise OtherTask(
                f"{table.file} holds {task} in its column {name!r}; Second Look fits one class per "
                f"image. Its columns are {table.shown}: name another with --label-column, or make "
                "a column of classes."
            )
        if hint is not None and wanted is None and hint.continuous:
            raise OtherTask(
                f"{hint.file} asks for a number in {hint.header[1]!r} that is not a probability: "
                f"{table.file} is of a task with a continuous target; Second Look fits one class "
                "per image."
            )
        told = wanted is not None or (hint is not None and name in hint.header)
        sure = told or any(plain(name) in row for row in _LABEL_NAMES)
        found = labels.null_count < len(labels)
        if not sure and pc.count_distinct(labels).as_py() > 0.5 * len(labels):
            return None  # links, remarks and the like differ in every row
        return LabelColumn(name, (name,), labels, sure) if found else None
    return _bit_columns(table, others)


def split_columns(table: Table, others: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the column of the split and the column of the fold, None for a missing one."""
    split = [name for name in others if plain(name) in _SPLIT_NAMES]
    fold = [name for name in others if plain(name) in _FOLD_NAMES]
    return (split[0] if split else None), (fold[0] if fold else None)


def group_columns(table: Table, others: Sequence[str]) -> list[str]:
    """Return columns with repeated values whose name means a patient, a driver or a session."""
    return [
        name
        for name in others
        if set(words(name)) & _GROUP_WORDS
        and 1 < pc.count_distinct(table.column(name)).as_py() < len(table)
    ]


def _label_name(table: Table, others: Sequence[str], hint: SampleHint | None) -> str | None:
    others = [name for name in others if plain(name) not in (*_SPLIT_NAMES, *_FOLD_NAMES)]
    if hint is not None and len(hint.header) == 2 and hint.header[1] in others:
        return hint.header[1]
    for row in _LABEL_NAMES:
        found = [name for name in others if plain(name) in row]
        if found:
            return _one_of(table, found)
    values = [name for name in others if not is_id(name)]
    if len(values) == 1 and not set(words(values[0])) & _GROUP_WORDS:
        return values[0]
    return None


def _one_of(table: Table, names: list[str]) -> str:
    """Return the only name, or the one in words of columns that divide the images alike."""
    if len(names) == 1:
        return names[0]
    codes = [
        np.asarray(pc.fill_null(read_labels(table.column(n)), "").dictionary_encode().indices)
        for n in names
    ]
    if any(not _alike(codes[0], other) for other in codes[1:]):
        raise UserError(
            f"{table.file} has several columns that may hold the class: {first_ten(names)}; choose "
            f"one with --label-column. Its columns are {table.shown}."
        )
    numbers = [
        pc.all(pc.match_substring_regex(pc.unique(table.column(name)), r"^[0-9.]*$")).as_py()
        for name in names
    ]
    return names[numbers.index(False)] if False in numbers else names[0]


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = len(np.unique(one.astype(np.int64) * (int(other.max()) + 1) + other))
    return pairs == len(np.unique(one)) == len(np.unique(other))


def _bit_columns(table: Table, others: Sequence[str]) -> LabelColumn | None:
    bits = [
        name
        for name in others
        if plain(name) not in (*_SPLIT_NAMES, *_FOLD_NAMES) and is_bits(table.column(name))
    ]
    rest = [name for name in others if name not in bits]
    if len(bits) < 2:
        return _measures(table, rest)
    labels = one_hot([table.column(name) for name in bits], bits)
    if labels is not None:
        return LabelColumn(", ".join(bits), tuple(bits), labels)
    measures = [name for name in rest if plain(name) in ("pawpularity", "score", "age", "rating")]
    if measures:
        raise OtherTask(
            f"{table.file} holds a continuous target in its column {measures[0]!r}; Second Look "
            f"fits one class per image. Its columns are {table.shown}."
        )
    raise OtherTask(
        f"{table.file} holds several labels per image: more than one of its columns "
        f"{first_ten(bits)} is 1 in a row, or none is; Second Look fits one class per image. "
        "Name a column of classes with --label-column."
    )


def _measures(table: Table, rest: Sequence[str]) -> LabelColumn | None:
    """Refuse a table whose columns are all measures, as probabilities of many answers."""
    values = [name for name in rest if not is_id(name)]
    share = [
        pc.mean(is_fraction(table.column(name)).cast(pa.int8())).as_py() or 0 for name in values
    ]
    if len(values) > 1 and min(share) > 0.5:
        raise OtherTask(
            f"{table.file} holds several continuous targets in its columns {first_ten(values)}; "
            "Second Look fits one class per image."
        )
    return None
