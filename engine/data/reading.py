"""Reads every file once: checksum, size and header, or the reason why it cannot be used."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path

from engine.data.formats import Unreadable
from engine.data.headers import note_of, upright_size
from engine.data.processes import main_left_alone, process_pool
from engine.runs.opening import read_file

_MANY = 4000  # files from which starting processes costs less than they save
_MOST_PROCESSES = 8
_PART, _LARGE_PART = 16, 128  # files that a thread and a process read at a time
_AHEAD = 16  # parts that are read in advance
Read = tuple[int, int, int, str, str]  # width, height, bytes, sha256, note


def read_all(root: Path, paths: list[str]) -> Iterator[tuple[str, Read | str]]:
    """Read files in order; yield each path with its facts, or with the reason it is unusable."""
    done = 0
    if len(paths) >= _MANY and (os.cpu_count() or 1) > 1:
        try:
            for row in _in_parts(process_pool(_MOST_PROCESSES), root, paths, _LARGE_PART):
                yield row
                done += 1
        except (BrokenProcessPool, OSError):  # none could be started, or one was killed
            pass
    yield from _in_parts(ThreadPoolExecutor(os.cpu_count()), root, paths[done:], _PART)


def _in_parts(
    pool: Executor, root: Path, paths: list[str], size: int
) -> Iterator[tuple[str, Read | str]]:
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    try:
        with main_left_alone() if isinstance(pool, ProcessPoolExecutor) else nullcontext():
            waiting = deque(pool.submit(_read_part, root, part) for part in parts[:_AHEAD])
        for number, part in enumerate(parts):
            yield from zip(part, waiting.popleft().result(), strict=True)
            if number + _AHEAD < len(parts):
                waiting.append(pool.submit(_read_part, root, parts[number + _AHEAD]))
    finally:
        pool.shutdown(cancel_futures=True)


def _read_part(root: Path, paths: list[str]) -> list[Read | str]:
    folder = str(root)
    return [_read(folder, path) for path in paths]


def _read(folder: str, path: str) -> Read | str:
    try:
        path.encode()  # the tables are UTF-8
        content = read_file(os.path.join(folder, path))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:
        return "its name is not UTF-8 or contains a null byte; rename it"
    try:
        width, height = upright_size(content)
        note = note_of(content, path)
    except Unreadable as error:
        return str(error)
    return width, height, len(content), hashlib.sha256(content).hexdigest(), note
