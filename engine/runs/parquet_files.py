"""Opens untrusted Parquet files: their size in memory is computed before they are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine import portable
from engine.errors import UserError
from engine.runs.opening import open_regular

_AT_ONCE = 2**24  # bytes of a file that is read whole before it is parsed
_ALWAYS = 2**28  # bytes in memory that are never too many
_MOST_GROWTH = 500  # bytes in memory for a byte in the file; probabilities reach a hundredth of it


@contextmanager
def open_parquet(path: Path) -> Iterator[pa.NativeFile]:
    """Open a Parquet file whose rows fit into memory; it is read from the yielded file.

    Raises
    ------
    UserError
        If its footer declares more values than its size allows, or than half of the memory holds.
    OSError, pyarrow.ArrowException
        If it cannot be opened, or is no Parquet file.
    """
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            source = pa.BufferReader(file.read()) if size < _AT_ONCE else pa.PythonFile(file, "r")
            _check_size(path, source, size)
            yield source
        except UnicodeDecodeError as error:  # of a name in the footer, or a text
            raise pa.ArrowInvalid(str(error)) from error


def _check_size(path: Path, file: pa.NativeFile, size: int) -> None:
    with pq.ParquetFile(file) as checked:
        rows, columns = checked.metadata.num_rows, checked.metadata.num_columns
    needed = 8 * rows * columns
    if needed > _ALWAYS and needed > min(_MOST_GROWTH * size, _memory()):
        raise UserError(
            f"{path} is damaged or too large: it declares {rows:,} rows of {columns:,} columns "
            f"({needed / 2**30:,.1f} GB in memory) in a file of {size:,} bytes."
        )
    file.seek(0)


def _memory() -> float:
    free = portable.available_memory()
    return float("inf") if free is None else free / 2
