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
    header = _quoted(pa.array(submission.header, pa.string())).to_pylist()
    yield (",".join(header) + "\n").encode()
    start, width = 0, len(header) - 1
    for block in submission.texts.chunks:
        ends = pa.array(np.arange(0, len(block) + 1, width, dtype=np.int32))
        values = pc.binary_join(pa.ListArray.from_arrays(ends, _quoted(block)), ",")
        ids = _quoted(submission.ids[start : start + len(values)])
        lines = pc.binary_join_element_wise(ids, values, ",")
        lines = pc.binary_join_element_wise(lines, "", "\n")
        yield lines.buffers()[2].to_pybytes()  # the value buffer: all lines, joined
        start += len(values)


def _quoted(texts: pa.StringArray) -> pa.StringArray:
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]]
    own = bytes(memoryview(content or b"")[ends[0] : ends[1]])
    if not any(mark in own for mark in _MUST_QUOTE):
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(texts, '[,"\r\n]'), quoted, texts)
