"""Reads every file once: checksum, size and header, or the reason why it cannot be used."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.data.formats import Unreadable
from engine.data.headers import note_of, upright_size
from engine.runs.opening import read_file

_AHEAD = 8  # parts of 16 images that are read in advance
Read = tuple[int, int, int, str, str]  # width, height, bytes, sha256, note


def read_all(root: Path, paths: list[str]) -> Iterator[tuple[str, Read | str]]:
    """Read files in order; yield each path with its facts, or with the reason it is unusable."""

    def read(path: str) -> tuple[bytes, str] | str:
        try:
            path.encode()  # the tables are UTF-8
            content = read_file(os.path.join(root, path))
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except ValueError:
            return "its name is not UTF-8 or contains a null byte; rename it"
        return content, hashlib.sha256(content).hexdigest()

    def seen(path: str, found: tuple[bytes, str] | str) -> Read | str:
        if isinstance(found, str):
            return found
        content, sha256 = found
        try:
            width, height = upright_size(content)
            return width, height, len(content), sha256, note_of(content, path)
        except Unreadable as error:
            return str(error)

    def read_some(some: list[str]) -> list[tuple[bytes, str] | str]:
        return [read(path) for path in some]

    # Threads read and compute checksums; headers are parsed here, since that holds the GIL.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        parts = [paths[start : start + 16] for start in range(0, len(paths), 16)]
        waiting = deque(pool.submit(read_some, part) for part in parts[:_AHEAD])
        for number, part in enumerate(parts):
            contents = waiting.popleft().result()
            if number + _AHEAD < len(parts):
                waiting.append(pool.submit(read_some, parts[number + _AHEAD]))
            yield from ((p, seen(p, found)) for p, found in zip(part, contents, strict=True))
