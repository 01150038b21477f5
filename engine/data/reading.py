"""Reads every file once: checksum, size and header, or the reason why it cannot be used."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from engine.data.formats import Unreadable
from engine.data.headers import note_of, upright_size
from engine.data.processes import main_left_alone, process_pool
from engine.runs.opening import read_file

_MANY = 4000  # files from which starting processes costs less than they save
_MOST_PROCESSES = 8
_PART, _LARGE_PART = 16, 128  # files that a thread and a process read at a time
_AHEAD = 8  # parts that are read in advance; no fewer than there are processes
Read = tuple[int, int, int, str, str]  # width, height, bytes, sha256, note
_Content = tuple[bytes, str] | str  # a file and its checksum, or why it cannot be read
_T = TypeVar("_T")


def read_all(root: Path, paths: list[str]) -> Iterator[tuple[str, Read | str]]:
    """Read files in order; yield each path with its facts, or with the reason it is unusable."""
    done = 0
    if len(paths) >= _MANY and (os.cpu_count() or 1) > 1:
        pool = process_pool(_MOST_PROCESSES)
        try:
            for row in _in_parts(pool, _read_part, root, paths, _LARGE_PART):
                yield row
                done += 1
        except (BrokenProcessPool, OSError):  # none could be started, or one was killed
            pass
    # Threads read and compute checksums; headers are parsed here, since that holds the GIL and
    # changes the filter of warnings, which threads share.
    threads = ThreadPoolExecutor(os.cpu_count())
    for path, content in _in_parts(threads, _load_part, root, paths[done:], _PART):
        yield path, _facts(path, content)


def _in_parts(
    pool: Executor,
    task: Callable[[str, list[str]], list[_T]],
    root: Path,
    paths: list[str],
    size: int,
) -> Iterator[tuple[str, _T]]:
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    try:
        with main_left_alone() if isinstance(pool, ProcessPoolExecutor) else nullcontext():
            waiting = deque(pool.submit(task, str(root), part) for part in parts[:_AHEAD])
        for number, part in enumerate(parts):
            yield from zip(part, waiting.popleft().result(), strict=True)
            if number + _AHEAD < len(parts):
                waiting.append(pool.submit(task, str(root), parts[number + _AHEAD]))
    finally:
        pool.shutdown(cancel_futures=True)


def _read_part(folder: str, paths: list[str]) -> list[Read | str]:
    return [_facts(path, _load(folder, path)) for path in paths]


def _load_part(folder: str, paths: list[str]) -> list[_Content]:
    return [_load(folder, path) for path in paths]


def _load(folder: str, path: str) -> _Content:
    try:
        path.encode()  # the tables are UTF-8
        content = read_file(os.path.join(folder, path))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:
        return "its name is not UTF-8 or contains a null byte; rename it"
    return content, hashlib.sha256(content).hexdigest()


def _facts(path: str, loaded: _Content) -> Read | str:
    if isinstance(loaded, str):
        return loaded
    content, sha256 = loaded
    try:
        width, height = upright_size(content)
        return width, height, len(content), sha256, note_of(content, path)
    except Unreadable as error:
        return str(error)
