"""Draws many images in parallel, in child processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed
from pathlib import Path

from engine.data.drawing.image import DemoImage, image_jpeg
from engine.data.processes import main_left_alone, process_pool

_BATCH = 16


def draw_all(
    folder: Path,
    images: list[DemoImage],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Draw all images into ``folder``; ``progress`` gets (images done, images in total)."""
    batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    pool = process_pool(min(len(batches), 32))
    try:
        done = 0
        with main_left_alone():
            futures = [pool.submit(_draw_batch, folder, batch, seed) for batch in batches]
        for future in as_completed(futures):
            done += future.result()
            if progress is not None:
                progress(done, len(images))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _draw_batch(folder: Path, images: list[DemoImage], seed: int) -> int:
    for image in images:
        (folder / image.path).write_bytes(image_jpeg(image, seed))
    return len(images)
