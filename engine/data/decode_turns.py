"""Decodes large images one at a time, because several at once could fill the memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine import portable

_LARGE = 16_000_000  # pixels that a decoder holds at once, about 100 MB with its copies
_BYTES_OF_PIXEL = 4
_turn = threading.RLock()


@contextmanager
def decode_turn(pixels: int) -> Iterator[None]:
    """Wait until no other large image is being decoded; an image of few pixels need not wait."""
    if pixels <= _LARGE:
        yield
        return
    with _turn:
        portable.give_back_memory()  # glibc keeps what another thread has freed for that thread
        yield


@contextmanager
def read_turn(path: Path) -> Iterator[None]:
    """Wait in the same way before a large file is read."""
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError):
        size = 0
    with decode_turn(size // _BYTES_OF_PIXEL):
        yield
