"""Writes a submission as CSV: UTF-8, with quotes only where they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from engine.competition.submission import Submission

_MUST_QUOTE = (b",", b'"', b"\r", b"\n")


def to_csv(submission: Submission) -> bytes:
    r"""Return the file's content: UTF-8, commas, ``\n``, quotes only where RFC 4180 needs them."""
    return b"".join(csv_blocks(submission))


def csv_blocks(submission: Submission) -> Iterator[bytes]:
    """Yield the content of :func:`to_csv` piece by piece, so that it is never whole in memory."""
    header = quoted(pa.array(submission.header, pa.string())).to_pylist()
    yield (",".join(header) + "\n").encode()
    yield from submission.lines


def csv_lines(ids: pa.StringArray, cells: pa.StringArray) -> bytes:
    r"""Return the lines of some rows, each with its id first.

    Parameters
    ----------
    ids : string array of shape (n_rows,)
    cells : string array of shape (n_rows * n_columns,), row by row, each after a comma

    Examples
    --------
    >>> csv_lines(pa.array(["a,1", "b"]), pa.array([",0.1", ",0.9", ",0.8", ",0.2"]))
    b'"a,1",0.1,0.9\nb,0.8,0.2\n'
    """
    if not len(ids):
        return b""
    _, offsets, content = cells.buffers()
    ends = np.frombuffer(offsets, np.int32)[cells.offset :][: len(cells) + 1]
    ends = np.ascontiguousarray(ends[:: len(cells) // len(ids)])  # of the cells of each row
    rows = pa.StringArray.from_buffers(len(ids), pa.py_buffer(ends), content)
    lines = pc.binary_join_element_wise(quoted(ids), rows, "\n", "")
    text: bytes = lines.buffers()[2].to_pybytes()  # the value buffer: all lines, joined
    return text


def quoted(texts: pa.StringArray) -> pa.StringArray:
    """Return the texts with quotes around those that RFC 4180 wants quoted."""
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]]
    own = bytes(memoryview(content or b"")[ends[0] : ends[1]])
    if not any(mark in own for mark in _MUST_QUOTE):
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(texts, '[,"\r\n]'), quoted, texts)
