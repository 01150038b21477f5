"""Many different JPEGs of 500 × 375, made fast: crops of drawn and noisy images, mirrored."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from engine.data.drawing.image import CLASSES, draw_image

WIDTH, HEIGHT = 500, 375
BASES = 200
_QUALITY, _NOISE = 88, 4.2  # about 45 kB
_BATCH = 64


def make_images(folder: Path, labelled: int, unlabelled: int) -> int:
    """Write train/cat.0.jpg, train/dog.0.jpg, ..., test/1.jpg, ...; return their bytes in all.

    Each has a seed of its own, which chooses the drawn image it is cut from, where, which way
    round, and how bright it is. Another process does it, which runs no threads, so that those
    that share the work can be its copies.
    """
    command = [sys.executable, "-m", __name__, str(folder), str(labelled), str(unlabelled)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(said.stdout)


def _make(folder: Path, labelled: int, unlabelled: int) -> int:
    (folder / "train").mkdir(parents=True)
    (folder / "test").mkdir()
    names = [f"train/{CLASSES[n % 2]}.{n // 2}.jpg" for n in range(labelled)]
    names += [f"test/{n}.jpg" for n in range(1, unlabelled + 1)]
    tasks = [
        (folder, start, names[start : start + _BATCH]) for start in range(0, len(names), _BATCH)
    ]
    bases = min(BASES, max(2, len(names) // 4))
    workers = min(os.cpu_count() or 1, len(tasks))
    context = get_context("fork")  # which shares the drawn images
    with ProcessPoolExecutor(workers, context) as pool:
        _bases.extend(pool.map(_base, range(bases), chunksize=8))
    with ProcessPoolExecutor(workers, context) as pool:
        return sum(pool.map(_write, tasks))


def varied(base: np.ndarray, number: int) -> bytes:
    """Return a JPEG of 500 × 375 cut from a larger image, different for every number."""
    rng = np.random.default_rng([7, number])
    top = int(rng.integers(base.shape[0] - HEIGHT + 1))
    left = int(rng.integers(base.shape[1] - WIDTH + 1))
    pixels = base[top : top + HEIGHT, left : left + WIDTH]
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    light = (np.arange(256) * rng.uniform(0.85, 1.15)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(light[pixels]).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _base(number: int) -> np.ndarray:
    """Draw one image with noise, enlarged by a fifth to leave room for crops; even ones are cats.

    The noise is drawn here, once, because memory is what many processes have to share.
    """
    rng = np.random.default_rng([11, number])
    image = draw_image(rng, CLASSES[number % 2], "", "")
    image = image.resize((WIDTH * 6 // 5, HEIGHT * 6 // 5), Image.Resampling.BICUBIC)
    pixels = np.asarray(image.convert("RGB"))
    noise = rng.standard_normal((*pixels.shape[:2], 1), dtype=np.float32) * _NOISE
    return (pixels + noise).clip(0, 255).astype(np.uint8)


_bases: list[np.ndarray] = []


def _write(task: tuple[Path, int, list[str]]) -> int:
    folder, start, names = task
    size = 0
    for number, name in enumerate(names, start):
        # Of cats among cats where the name says so: even numbers hold cats, in both lists.
        at = number % 2 + 2 * int(np.random.default_rng([5, number]).integers(len(_bases) // 2))
        size += (folder / name).write_bytes(varied(_bases[at], number))
    return size


if __name__ == "__main__":
    print(_make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
