"""Draws many images in parallel, in child processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

from engine.data.drawing.image import DemoImage, image_jpeg

_BATCH = 16


def draw_all(
    folder: Path,
    images: list[DemoImage],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Draw all images into ``folder``; ``progress`` gets (images done, images in total)."""
    batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    # Spawn instead of fork: the caller may run threads, and a new process imports little.
    pool = ProcessPoolExecutor(
        min(os.cpu_count() or 1, len(batches), 32), get_context("spawn"), _leave_interrupts
    )
    try:
        done = 0
        with _main_left_alone():
            futures = [pool.submit(_draw_batch, folder, batch, seed) for batch in batches]
        for future in as_completed(futures):
            done += future.result()
            if progress is not None:
                progress(done, len(images))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """Start processes that do not run the caller's script again, as spawned ones do otherwise."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _leave_interrupts() -> None:
    """Leave Ctrl-C to the parent, so that a worker prints no traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw_batch(folder: Path, images: list[DemoImage], seed: int) -> int:
    for image in images:
        (folder / image.path).write_bytes(image_jpeg(image, seed))
    return len(images)
