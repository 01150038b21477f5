"""Reads the predictions of another tool, a CSV or Parquet file of probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import UserError, first_ten
from engine.runs.csv_text import names_and_stems, one_array, read_csv_text
from engine.runs.opening import open_regular
from engine.runs.parquet_files import open_parquet
from engine.runs.prediction_columns import NUMBER, Columns, find_columns
from engine.runs.predictions import Predictions, label_indices, make_predictions

_PARQUET_MAGIC = b"PAR1"
_EXACT_SUM, _ROUNDED_SUM = 1e-6, 1e-3


@dataclass(frozen=True)
class ImportedPredictions:
    """Predictions read from another tool's file.

    Attributes
    ----------
    predictions : the checked table; if the file has no path column, the path is the id
    paths_given : whether the file has a column of paths
    renamed : the class of each label whose text differs from the class name
    """

    predictions: Predictions
    paths_given: bool
    renamed: dict[str, str]


def read_predictions_table(
    path: Path, sample: Sequence[str] | None = None, positive: str | None = None
) -> ImportedPredictions:
    """Read probabilities from CSV or Parquet (detected by content), with every id as text.

    Columns, in any case: ``id`` or ``path`` or both, or another usual name such as ``image`` or
    ``filename`` (without an id, it is the file name without extension, or the path where those
    are not unique); optionally ``label``, ``y_true`` or another usual name, empty where unknown;
    and either one column per class, ``p_<class>`` or the bare class names, or one column for the
    positive of two classes: ``p_<class>``, else ``p``, ``prob``, ``probability``, ``score`` or
    ``p_positive``, which means the second of the label column's two names. If there are
    ``p_<class>`` columns, other columns are ignored. A label column of fractions holds
    probabilities, as a submission's does. Rows whose sum differs from 1 by rounding (more than
    1e-6, at most 1e-3) are normalised.

    Parameters
    ----------
    path : the file
    sample : the header of the competition's sample file, whose form the file has
    positive : the class whose probability the only column holds

    Raises
    ------
    UserError
        If the file is unreadable or empty, a column is missing, the classes are unknown, an id
        is repeated, or a value is not a probability; the message names the first ten ids.
    """
    table = _read_columns(path)
    columns = find_columns(path, table, sample, positive)
    ids, paths = _ids_and_paths(path, columns, table)
    labels = _labels(path, columns, table, len(ids))
    class_names = sorted(columns.classes)
    probabilities = np.full((len(ids), len(class_names)), np.nan)
    for index, name in enumerate(class_names):
        column = columns.classes[name]
        if column:
            probabilities[:, index] = _numbers(path, column, table[column], ids)
        else:  # the class without its own column
            other = columns.classes[class_names[1 - index]]
            probabilities[:, index] = 1 - _numbers(path, other, table[other], ids)
    predictions = make_predictions(
        ids,
        paths,
        label_indices(_whole_numbers(labels, class_names), class_names, source=str(path)),
        _normalised(probabilities),
        class_names,
        source=str(path),
    )
    return ImportedPredictions(predictions, columns.path is not None, columns.renamed)


def _read_columns(path: Path) -> dict[str, pa.Array]:
    try:
        with open_regular(path) as file:
            parquet = file.read(4) == _PARQUET_MAGIC
        if parquet:
            with open_parquet(path) as file:
                table = pq.ParquetFile(file).read()
            names, columns = table.column_names, [one_array(column) for column in table.columns]
        elif path.suffix == ".parquet":
            raise UserError(f"{path} is damaged and cannot be read as Parquet.")
        else:
            names, columns = read_csv_text(path)
    except (pa.ArrowException, OSError) as error:
        reason = getattr(error, "strerror", None) or "damaged, or in an unknown format"
        raise UserError(f"{path} could not be read ({reason}).") from error
    names = [name.strip() for name in names]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise UserError(
            f"{path} has more than one column called {first_ten(repeated)}; rename or remove one."
        )
    if not columns or len(columns[0]) == 0:
        raise UserError(f"{path} has no rows.")
    return dict(zip(names, columns, strict=True))


def _ids_and_paths(
    path: Path, columns: Columns, table: Mapping[str, pa.Array]
) -> tuple[pa.Array, pa.Array]:
    if columns.id is not None:
        ids = pc.utf8_trim_whitespace(_text(path, columns.id, table[columns.id]))
    else:
        assert columns.path is not None
        named = _text(path, columns.path, table[columns.path])
        ids = names_and_stems(named)[1]
        if len(pc.unique(ids)) < len(pc.unique(named)):  # cat/1.jpg and dog/1.jpg
            ids = named
    lost = np.flatnonzero(np.asarray(pc.equal(pc.fill_null(ids, ""), ""), dtype=bool))
    if lost.size:
        rows = first_ten([str(row + 1) for row in lost])
        raise UserError(f"{path} has no id in row {rows} (the first row after the header is 1).")
    if columns.path is None:
        return ids, ids
    paths = pc.fill_null(_text(path, columns.path, table[columns.path]), "")
    return ids, pc.if_else(pc.equal(paths, ""), ids, paths)


def _labels(path: Path, columns: Columns, table: Mapping[str, pa.Array], n: int) -> pa.Array:
    if columns.label is None:
        return pa.nulls(n, pa.string())
    labels = pc.utf8_trim_whitespace(_text(path, columns.label, table[columns.label]))
    for value, name in columns.renamed.items():
        labels = pc.if_else(pc.equal(labels, value), name, labels)
    return pc.if_else(pc.equal(labels, ""), None, labels)


def _numbers(path: Path, name: str, column: pa.Array, ids: pa.Array) -> np.ndarray:
    try:
        if pa.types.is_string(column.type):
            text = pc.utf8_trim_whitespace(column)
            column = pc.if_else(pc.match_substring_regex(text, NUMBER), text, None)
        numbers = np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan), dtype=np.float64)
    except pa.ArrowException as error:
        raise UserError(f"{path}: column {name!r} holds {column.type}, not numbers.") from error
    missing = np.flatnonzero(np.isnan(numbers))
    if missing.size:
        lost = first_ten(ids.take(pa.array(missing)).to_pylist())
        raise UserError(f"{path}: column {name!r} has no number for ids {lost}.")
    return numbers


def _normalised(probabilities: np.ndarray) -> np.ndarray:
    """Divide rows by their sum where rounding or float32 made it slightly different from 1."""
    sums = probabilities.sum(axis=1, keepdims=True)  # (n, 1)
    off = np.abs(sums - 1)
    inside = ((probabilities >= 0) & (probabilities <= 1)).all(axis=1, keepdims=True)
    rounded = inside & (off > _EXACT_SUM) & (off <= _ROUNDED_SUM)
    return probabilities / np.where(rounded, sums, 1.0)


def _whole_numbers(labels: pa.Array, class_names: list[str]) -> pa.Array:
    """Read '1.0' as '1' if only '1' is a class: pandas writes integers with gaps as floats."""
    known = pc.is_in(labels, pa.array(class_names, pa.string()))
    return pc.if_else(known, labels, pc.replace_substring_regex(labels, r"^([0-9]+)\.0$", r"\1"))


def _text(path: Path, name: str, column: pa.Array) -> pa.Array:
    try:
        if pa.types.is_floating(column.type):  # whole numbers with missing values
            column = pc.if_else(pc.is_nan(column), None, column).cast(pa.int64())
        return column.cast(pa.string())
    except pa.ArrowException as error:
        raise UserError(f"{path}: column {name!r} cannot be read as text.") from error
