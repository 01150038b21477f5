"""Appends JSON objects to a file that is never rewritten, one per line, and reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.runs.files import locked, open_log, write_all
from engine.runs.json_text import loads
from engine.runs.opening import read_file


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file, oldest first; other lines, and incomplete ones, are left out.

    Raises
    ------
    UserError
        If the file is there and cannot be read.
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}).") from error
    for line in content.split(b"\n"):
        try:
            value = loads(line, strict=False)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def append_lines(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Append objects and sync them, all or none; another process's incomplete line is ended first.

    Raises
    ------
    UserError
        If the file cannot be written; what it held is kept.
    """
    content = b"".join(json.dumps(each, ensure_ascii=True).encode() + b"\n" for each in lines)
    if not content:
        return
    with locked(path.parent / ".lock"):
        try:
            file = open_log(path, append=True)
        except OSError as error:
            raise UserError(f"{path} could not be written ({error.strerror}).") from error
        with file:
            size = file.seek(0, os.SEEK_END)
            try:
                if size:
                    file.seek(size - 1)
                    if file.read(1) != b"\n":
                        content = b"\n" + content
                write_all(file.fileno(), content)
                os.fsync(file.fileno())
            except OSError as error:
                file.truncate(size)
                reason = error.strerror or str(error)
                raise UserError(
                    f"{path} could not be written ({reason}); its earlier lines are kept."
                ) from error
