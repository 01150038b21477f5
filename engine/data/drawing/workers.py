"""Draws many images at once, in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from engine.data.drawing.image import DemoImage, image_jpeg

_BATCH = 16


def draw_all(
    folder: Path,
    images: list[DemoImage],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Draw all images into ``folder``; ``progress`` hears (images done, images in all)."""
    batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    # Spawned, not forked: the caller may run threads, and a fresh process imports only this module.
    pool = ProcessPoolExecutor(
        min(os.cpu_count() or 1, len(batches), 32), get_context("spawn"), _leave_interrupts
    )
    try:
        done = 0
        for future in as_completed([pool.submit(_draw_batch, folder, b, seed) for b in batches]):
            done += future.result()
            if progress is not None:
                progress(done, len(images))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_interrupts() -> None:
    """Let the parent answer Ctrl-C, so that a worker prints no traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw_batch(folder: Path, images: list[DemoImage], seed: int) -> int:
    for image in images:
        (folder / image.path).write_bytes(image_jpeg(image, seed))
    return len(images)
