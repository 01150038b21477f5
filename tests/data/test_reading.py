"""Files are read by threads or, where they are many, by processes, with the same result."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from engine.data import reading
from engine.data.reading import Read, read_all
from tests.support import tiny_images as tiny


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a folder of whole and broken images, and their names in an order of their own."""
    folder = tmp_path_factory.mktemp("files")
    for number in range(40):
        tiny.put(folder / f"{number}.jpg", tiny.image_bytes("cat", number, size=(20 + number, 16)))
    tiny.put(folder / "empty.jpg", b"")
    tiny.put(folder / "page.png", b"<html>")
    tiny.put(folder / "named.png", tiny.image_bytes("dog"))
    os.mkfifo(folder / "pipe.jpg")
    names = [f"{number}.jpg" for number in reversed(range(40))]
    odd = ["empty.jpg", "page.png", "named.png", "pipe.jpg", "gone.jpg", "\udcff.jpg"]
    return folder, [*names, *odd, *names]


def by_threads(files: tuple[Path, list[str]]) -> list[tuple[str, Read | str]]:
    return list(read_all(*files))


def test_processes_find_what_threads_find(files, monkeypatch):
    expected = by_threads(files)
    assert [path for path, _ in expected] == files[1]
    assert expected[0][1][:2] == (59, 16)
    assert sum(isinstance(read, str) for _, read in expected) == 5
    monkeypatch.setattr(reading, "_MANY", 1)
    monkeypatch.setattr(reading, "_LARGE_PART", 9)
    assert list(read_all(*files)) == expected


class Killed(ThreadPoolExecutor):
    """Stands for a pool of which one process is killed after the second part."""

    parts = 0

    def submit(self, *task: Any) -> Future[Any]:
        self.parts += 1
        if self.parts > 2:
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool("killed"))
            return future
        return super().submit(*task)


def test_files_are_read_to_the_end_after_a_process_was_killed(files, monkeypatch):
    expected = by_threads(files)
    monkeypatch.setattr(reading, "_MANY", 1)
    monkeypatch.setattr(reading, "_LARGE_PART", 9)
    monkeypatch.setattr(reading, "process_pool", lambda most: Killed(1))
    assert list(read_all(*files)) == expected
