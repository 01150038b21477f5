"""The images table of a run, ``images.parquet``: read, and checked column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import UserError
from engine.runs.parquet_files import open_parquet

_DIGITS = b"0123456789abcdef"
_TEXTS = ("id", "path", "split", "label", "sha256", "group", "near_duplicate")
_NUMBERS = ("width", "height", "bytes")


def is_checksum(text: str) -> bool:
    """Return whether a text is a SHA-256 in hexadecimal, so that it can name a file."""
    return len(text) == 64 and text.isascii() and not text.encode().translate(None, _DIGITS)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return an images table as a data frame, without pandas' metadata, which may be damaged."""
    try:
        found: pd.DataFrame = table.to_pandas()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        found = table.replace_schema_metadata(None).to_pandas()
    return found


def read_images(
    path: Path,
    columns: Sequence[str] | None = None,
    optional: Sequence[str] = (),
    splits: Sequence[str] | None = None,
) -> pa.Table:
    """Read the images table.

    Parameters
    ----------
    columns, optional
        The columns to read, and those to read if they are there; by default all.
    splits
        The splits whose rows are read; by default all.

    Raises
    ------
    UserError
        If the file is missing or damaged, a column is missing or of another type, or a checksum
        is invalid.
    """
    try:
        with open_parquet(path) as file:
            names = pq.ParquetFile(file).schema_arrow.names
            file.seek(0)
            wanted = None if columns is None else [*columns, *(n for n in optional if n in names)]
            chosen = None if splits is None else pc.field("split").isin(list(splits))
            table = pq.read_table(file, columns=wanted, filters=chosen)
            table.validate(full=True)  # that texts are UTF-8
            _check_types(table, path)
            for name in {*_TEXTS} & {*table.column_names}:  # a column of no values has no type
                if pa.types.is_null(table.schema.field(name).type):
                    at = table.column_names.index(name)
                    table = table.set_column(at, name, table[name].cast(pa.string()))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path} is missing or damaged; restore it, or fit again.") from error
    if missing := set(columns or ()) - set(table.column_names):
        raise UserError(f"{path} is damaged: it has no column {min(missing)}.")
    return table


def _check_types(table: pa.Table, path: Path) -> None:
    for names, kind in ((_TEXTS, _is_text), (_NUMBERS, pa.types.is_integer)):
        for name in {*names} & {*table.column_names}:
            found = table.schema.field(name).type
            if not kind(found) and not pa.types.is_null(found):
                raise UserError(f"{path} is damaged: its column {name} holds {found}.")
    if "sha256" in table.column_names and not _are_checksums(table["sha256"]):
        raise UserError(f"{path} is damaged: its column sha256 has a value that is not a checksum.")


def _is_text(kind: pa.DataType) -> bool:
    checks: tuple[Callable[[pa.DataType], bool], ...] = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_null,
    )  # fmt: skip
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(check(values) for check in checks)


def _are_checksums(column: pa.ChunkedArray) -> bool:
    """Return whether all values have 64 hexadecimal digits, or none; a regex takes ten times."""
    if pa.types.is_null(column.type):
        return True
    given = column.cast(pa.large_string()).drop_null()
    lengths = pc.unique(pc.binary_length(given)).to_pylist()
    return {0, 64}.issuperset(lengths) and not any(
        _joined(chunk).translate(None, _DIGITS) for chunk in given.chunks if len(chunk)
    )


def _joined(texts: pa.LargeStringArray) -> bytes:
    """Return texts, none of them null, one after the other."""
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return b"" if content is None else bytes(memoryview(content)[ends[0] : ends[-1]])
