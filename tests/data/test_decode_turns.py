"""Large images are decoded one at a time, small ones at once."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine import portable
from engine.data import thumbnails
from engine.data.decode_turns import decode_turn, read_turn
from tests.support.tiny_images import image_bytes, put


def _at_once(pixels: int) -> int:
    """Return how many of four threads decode images of so many pixels at the same time."""
    lock, inside, most = threading.Lock(), 0, 0
    everybody = threading.Barrier(4)

    def decode(_: int) -> None:
        nonlocal inside, most
        everybody.wait(10)
        with decode_turn(pixels):
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.05)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decode, range(4)))
    return most


def test_large_images_wait_for_each_other() -> None:
    assert _at_once(100_000_000) == 1
    assert _at_once(1_000_000) > 1


def test_a_large_file_waits_before_it_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "large.tif", b"")
    os.truncate(path, 2**28)
    entered = threading.Event()

    def read() -> None:
        with read_turn(path):
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with decode_turn(100_000_000):
            waiting = pool.submit(read)
            assert not entered.wait(0.05)
        waiting.result(10)
    assert entered.is_set()


def test_a_thumbnail_waits_by_the_size_that_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    really = thumbnails.decode_turn
    monkeypatch.setattr(
        thumbnails, "decode_turn", lambda pixels: asked.append(pixels) or really(pixels)
    )
    thumbnails.make_thumbnail(image_bytes("cat"), 224)
    assert len(asked) == 1 and asked[0] > 0


def test_memory_is_given_back_before_a_large_image_alone(monkeypatch):
    given = []
    monkeypatch.setattr(portable, "give_back_memory", lambda: given.append(1))
    with decode_turn(1_000_000):
        assert not given
    with decode_turn(100_000_000):
        assert given == [1]
