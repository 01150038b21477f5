"""Writes and reads tables of predictions as Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import UserError, first_ten
from engine.runs.files import atomic_path
from engine.runs.parquet_files import open_parquet
from engine.runs.predictions import UNKNOWN, Predictions, label_indices, make_predictions

_GROUP_VALUES = 8_000_000  # probabilities in a row group
_AT_ONCE = 128  # columns that are read at once
_LINES = 16  # columns that are written at once: two cache lines of each row
_TEXTS = pa.schema([(name, pa.string()) for name in ("id", "path", "label")])


class _WrongType(Exception):
    """A column has the wrong type."""


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Write the table as Parquet: id, path, label (null where unknown), one p_<class> per class."""
    at_once = max(_GROUP_VALUES // len(predictions.class_names), 1)
    # No dictionary for mostly distinct values: 0.8 of the size, a third of the reading time.
    options = {"compression": "zstd", "use_dictionary": ["path", "label"]}
    schema = _part(predictions, slice(0)).schema
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, **options) as writer,
    ):
        for start in range(0, len(predictions), at_once):
            writer.write_table(_part(predictions, slice(start, start + at_once)))


def load_predictions(path: Path) -> Predictions:
    """Read a table written by :func:`save_predictions` and check it again.

    Raises
    ------
    UserError
        If the file is missing, damaged, or violates a rule of :func:`make_predictions`.
    """
    release_unused = pa.default_memory_pool().release_unused
    release_unused()  # what earlier tables took
    try:
        with open_parquet(path) as content, pq.ParquetFile(content) as file:
            names = file.schema_arrow.names
            class_names = [name[2:] for name in names if name.startswith("p_")]
            missing = set(_TEXTS.names) - set(names)
            if missing:
                raise UserError(f"{path} has no column {first_ten(sorted(missing))}.")
            if len(class_names) < 2:
                raise UserError(f"{path} has fewer than two columns p_<class>.")
            texts, probabilities = _read(file, [f"p_{name}" for name in class_names])
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist.") from error
    except _WrongType as error:
        raise UserError(f"{path} holds a column of the wrong type ({error}).") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is damaged and cannot be read as Parquet.") from error
    ids, paths, labels = (texts[name].combine_chunks() for name in _TEXTS.names)
    y_true = label_indices(labels, class_names, source=str(path))
    found = make_predictions(ids, paths, y_true, probabilities, class_names, source=str(path))
    del texts, labels
    release_unused()
    return found


def _read(file: pq.ParquetFile, columns: list[str]) -> tuple[pa.Table, np.ndarray]:
    """Return id, path and label as text, and the probabilities, reading some columns at a time."""
    found, stop = file.read(_TEXTS.names), 0
    probabilities = np.empty((file.metadata.num_rows, len(columns)))
    try:
        texts = found.select(_TEXTS.names).cast(_TEXTS)
    except pa.ArrowException as error:
        raise _WrongType(error) from error
    texts.validate(full=True)  # that texts are UTF-8
    for at, part in _parts(file, columns):
        if at == 0:
            start, stop = stop, stop + len(part)
        _fill(probabilities[start:stop, at : at + _AT_ONCE], part, columns[at : at + _AT_ONCE])
    return texts, probabilities


def _fill(rows: np.ndarray, part: pa.Table, columns: list[str]) -> None:
    """Write columns into rows, of which each write fills whole cache lines."""
    for at in range(0, len(columns), _LINES):
        try:
            some = [part[name].cast(pa.float64()) for name in columns[at : at + _LINES]]
        except pa.ArrowException as error:
            raise _WrongType(error) from error
        rows[:, at : at + _LINES] = np.stack(some).T


def _parts(file: pq.ParquetFile, columns: list[str]) -> Iterator[tuple[int, pa.Table]]:
    """Yield some columns of a row group and the first one's number, always reading one ahead."""
    parts = [(n, at) for n in range(file.num_row_groups) for at in range(0, len(columns), _AT_ONCE)]

    def read(number: int, at: int) -> pa.Table:
        return file.read_row_group(number, columns[at : at + _AT_ONCE])

    with ThreadPoolExecutor(1) as pool:
        following: Future[pa.Table] | None = None
        for part, after in zip_longest(parts, parts[1:]):
            table = following.result() if following else read(*part)
            following = pool.submit(read, *after) if after else None
            yield part[1], table


def _part(predictions: Predictions, rows: slice) -> pa.Table:
    y_true, p = predictions.y_true[rows], predictions.probabilities[rows]
    names = pa.array(predictions.class_names, pa.string())
    columns = {
        "id": predictions.ids[rows],
        "path": predictions.paths[rows],
        "label": names.take(pa.array(y_true, mask=y_true == UNKNOWN)),
    }
    for column, name in enumerate(predictions.class_names):
        columns[f"p_{name}"] = pa.array(np.ascontiguousarray(p[:, column]))
    return pa.table(columns)
