"""Reads any usual text table (comma, semicolon, tab; UTF-8, UTF-16); all columns stay text."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from engine.errors import UserError
from engine.runs.opening import read_file

SEPARATORS = ",;\t"
_SPACE_BEFORE_QUOTE = r'(?m)(?:%s|^)[ \t]+"'
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_csv_text(path: Path, first: int | None = None) -> tuple[list[str], list[pa.StringArray]]:
    """Read a table as its header and its columns, all text.

    The separator is the most frequent of comma, semicolon and tab in the header. The encoding is
    UTF-8 with or without BOM, or UTF-16 with BOM. With ``first``, only that many columns are
    returned, but the whole header.

    Raises
    ------
    UserError
        When the file is missing, empty, of another encoding, or its rows differ in length.
    """
    try:
        data = _in_utf8(read_file(path))
        comma = _separator(data)
        marks = re.compile((_SPACE_BEFORE_QUOTE % re.escape(comma)).encode())
        spaced = comma != "\t" and b'"' in data and marks.search(data)
        table = _spaced_table(data, comma) if spaced else _csv_table(data, comma, first)
        rows = csv.reader(
            io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""),
            delimiter=comma, skipinitialspace=bool(spaced),
        )  # fmt: skip
        header = next(filter(None, rows))
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror or error}).") from error
    except (pa.ArrowException, csv.Error, UnicodeDecodeError, StopIteration) as error:
        reason = f"{error} ".splitlines()[0].strip()[:150]
        raise UserError(
            f"{path} cannot be read as a CSV file in UTF-8 or UTF-16 ({reason})."
        ) from error
    columns = [one_array(column) for column in table.columns]
    return header, [column[1:] for column in columns[:first]]


def names_and_stems(paths: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    """Return the file name of each path, and the same without its extension."""
    names = pc.replace_substring_regex(paths, r"(?s)^.*[/\\]", "")
    return names, pc.replace_substring_regex(names, r"(?s)^(.+)\.[^.]*$", r"\1")


def _in_utf8(data: bytes) -> bytes:
    return data.decode("utf-16").encode() if data.startswith(_UTF_16) else data


def _separator(data: bytes) -> str:
    header = data.lstrip(b"\xef\xbb\xbf\r\n").split(b"\n", 1)[0]
    bare = re.sub(rb'"[^"]*"', b"", header)
    counts = {mark: bare.count(mark.encode()) for mark in SEPARATORS}
    return max(counts, key=lambda mark: counts[mark])


def _csv_table(data: bytes, comma: str, first: int | None) -> pa.Table:
    kept = None if first is None else [f"f{column}" for column in range(first)]
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True, block_size=1 << 24),
        # A newline can stand in quotes only; without them Arrow parses the blocks in threads.
        parse_options=pyarrow.csv.ParseOptions(delimiter=comma, newlines_in_values=b'"' in data),
        convert_options=pyarrow.csv.ConvertOptions(
            default_column_type=pa.string(), include_columns=kept, include_missing_columns=True
        ),
    )


def _spaced_table(data: bytes, comma: str) -> pa.Table:
    # Arrow keeps the quotes of `1, "0.5"`; the standard reader skips the space before them.
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    rows = [row for row in csv.reader(text, delimiter=comma, skipinitialspace=True) if row]
    if len({len(row) for row in rows}) != 1:
        raise csv.Error("rows differ in length, or there are none")
    return pa.table({str(i): pa.array(cells) for i, cells in enumerate(zip(*rows, strict=True))})


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    chunks = column.chunks
    return (
        chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks or [pa.array([], column.type)])
    )
