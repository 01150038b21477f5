"""Reads the predictions of another tool, a CSV or Parquet file of probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import UserError, first_ten
from engine.runs.csv_text import names_and_stems, one_array, read_csv_text
from engine.runs.predictions import Predictions, label_indices, make_predictions

_PARQUET_MAGIC = b"PAR1"
_SINGLE = {"p", "prob", "probability", "score", "p_positive"}
_NOT_CLASSES = {"id", "path", "label", "", "Unnamed: 0"}  # the last two: an index written by pandas
_NUMBER = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_EXACT_SUM, _ROUNDED_SUM = 1e-6, 1e-3


@dataclass(frozen=True)
class ImportedPredictions:
    """Predictions read from another tool's file.

    Attributes
    ----------
    predictions : the checked table; if the file has no path column, the path is the id
    paths_given : whether the file has a ``path`` column
    """

    predictions: Predictions
    paths_given: bool


def read_predictions_table(path: Path) -> ImportedPredictions:
    """Read probabilities from CSV or Parquet (detected by content), with every id as text.

    Columns: ``id`` or ``path`` or both (without ``id``, it is the file name without extension);
    optionally ``label``, empty where unknown; and either one column per class, ``p_<class>`` or
    the bare class names, or one column for the positive of two classes: ``p_<class>``, else ``p``,
    ``prob``, ``probability``, ``score`` or ``p_positive``, which means the second of the label
    column's two names. If there are ``p_<class>`` columns, other columns are ignored. Rows whose
    sum differs from 1 by rounding (more than 1e-6, at most 1e-3) are normalised.

    Raises
    ------
    UserError
        If the file is unreadable or empty, a column is missing, the classes are unknown, an id
        is repeated, or a value is not a probability; the message names the first ten ids.
    """
    columns = _read_columns(path)
    ids, paths = _ids_and_paths(path, columns)
    labels = _labels(path, columns, len(ids))
    by_class = _class_columns(path, columns, labels)
    class_names = sorted(by_class)
    probabilities = np.full((len(ids), len(class_names)), np.nan)
    for index, name in enumerate(class_names):
        if by_class[name]:
            probabilities[:, index] = _numbers(path, by_class[name], columns[by_class[name]], ids)
        else:  # the class without its own column
            other = by_class[class_names[1 - index]]
            probabilities[:, index] = 1 - _numbers(path, other, columns[other], ids)
    predictions = make_predictions(
        ids,
        paths,
        label_indices(_whole_numbers(labels, class_names), class_names, source=str(path)),
        _normalised(probabilities),
        class_names,
        source=str(path),
    )
    return ImportedPredictions(predictions, "path" in columns)


def _read_columns(path: Path) -> dict[str, pa.Array]:
    try:
        with open(path, "rb") as file:
            parquet = file.read(4) == _PARQUET_MAGIC
        if parquet:
            table = pq.ParquetFile(path).read()
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
        raise UserError(f"{path} has more than one column called {first_ten(repeated)}.")
    if not columns or len(columns[0]) == 0:
        raise UserError(f"{path} has no rows.")
    return dict(zip(names, columns, strict=True))


def _ids_and_paths(path: Path, columns: Mapping[str, pa.Array]) -> tuple[pa.Array, pa.Array]:
    if "id" not in columns and "path" not in columns:
        raise UserError(f"{path} needs a column 'id' or 'path'; it has {first_ten(list(columns))}.")
    if "id" in columns:
        ids = _text(path, "id", columns["id"])
    else:
        ids = names_and_stems(_text(path, "path", columns["path"]))[1]
    lost = np.flatnonzero(np.asarray(pc.equal(pc.fill_null(ids, ""), ""), dtype=bool))
    if lost.size:
        rows = first_ten([str(row + 1) for row in lost])
        raise UserError(f"{path} has no id in row {rows} (the first row after the header is 1).")
    if "path" not in columns:
        return ids, ids
    paths = pc.fill_null(_text(path, "path", columns["path"]), "")
    return ids, pc.if_else(pc.equal(paths, ""), ids, paths)


def _labels(path: Path, columns: Mapping[str, pa.Array], n: int) -> pa.Array:
    if "label" not in columns:
        return pa.nulls(n, pa.string())
    labels = pc.utf8_trim_whitespace(_text(path, "label", columns["label"]))
    return pc.if_else(pc.equal(labels, ""), None, labels)


def _class_columns(path: Path, columns: Mapping[str, pa.Array], labels: pa.Array) -> dict[str, str]:
    """Return the column of each class, '' for the class without a column of its own."""
    candidates = [name for name in columns if name not in _NOT_CLASSES]
    prefixed = {name[2:]: name for name in candidates if name.startswith("p_")}
    if "" in prefixed:
        raise UserError(f"{path} has a column 'p_' without a class; call it p_<class>.")
    if len(prefixed) >= 2:
        return prefixed
    single = list(prefixed.values()) or [name for name in candidates if name.casefold() in _SINGLE]
    if not single and len(candidates) >= 2:
        return {name: name for name in candidates}
    single = single or candidates
    if len(single) != 1:
        has = (
            f"more than one: {first_ten(single)}" if single else f"only {first_ten(list(columns))}"
        )
        raise UserError(
            f"{path} needs one p_<class> column a class, or one column 'p'; it has {has}."
        )
    column, classes = single[0], sorted(pc.unique(labels.drop_null()).to_pylist())
    named = column[2:] if column in prefixed.values() else column
    if named not in classes and column.casefold() in _SINGLE and len(classes) == 2:
        named = classes[1]
    if named not in classes or len(classes) != 2:
        raise UserError(
            f"{path} has one probability column, {column!r}, and no label column that names its "
            f"two classes; give one column a class, called p_<class>."
        )
    return {name: column if name == named else "" for name in classes}


def _numbers(path: Path, name: str, column: pa.Array, ids: pa.Array) -> np.ndarray:
    try:
        if pa.types.is_string(column.type):
            text = pc.utf8_trim_whitespace(column)
            column = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
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
