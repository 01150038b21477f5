"""Tiny images (40 x 30, the class is the colour) and every layout they can lie in.

Each function makes one folder and returns it; counts are images a class. Images differ by
number, so no two are byte-identical, and the colours of two classes are far apart, so that even
untrained features tell them apart.
"""

from __future__ import annotations

import colorsys
import csv
import io
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (40, 30)  # width, height
TWO = ("cat", "dog")
_HUES = {"cat": 0.05, "dog": 0.6}


def image_bytes(
    label: str, number: int = 0, format: str = "JPEG", size: tuple[int, int] = SIZE
) -> bytes:
    """Draw one image: the label gives its hue, the number its grain."""
    hue = _HUES.get(label, zlib.crc32(label.encode()) % 97 / 97)
    colour = np.array(colorsys.hsv_to_rgb(hue, 0.8, 0.8)) * 255
    grain = np.random.default_rng([zlib.crc32(label.encode()), number]).normal(
        0, 12, (size[1], size[0], 3)
    )
    pixels = np.clip(colour + grain, 0, 255).astype(np.uint8)  # (height, width, 3)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format, **({"quality": 90} if format == "JPEG" else {}))
    return out.getvalue()


def put(path: Path, content: bytes) -> Path:
    """Write one file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def kaggle(folder: Path, train: int = 6, test: int = 4, classes: tuple[str, ...] = TWO) -> Path:
    """Make ``train/<class>.<n>.jpg`` from 0 and ``test/<n>.jpg`` from 1 (unlabelled)."""
    for label in classes:
        for n in range(train):
            put(folder / "train" / f"{label}.{n}.jpg", image_bytes(label, n))
    for n in range(1, test + 1):
        put(folder / "test" / f"{n}.jpg", image_bytes(classes[n % len(classes)], 10_000 + n))
    return folder


def image_folder(
    folder: Path,
    train: int = 6,
    valid: int = 2,
    test: int = 2,
    classes: tuple[str, ...] = TWO,
    valid_name: str = "valid",
) -> Path:
    """Make ``train/<class>/<n>.jpg``, and ``valid/`` and ``test/`` likewise (test is labelled)."""
    for start, (part, count) in enumerate([("train", train), (valid_name, valid), ("test", test)]):
        for label in classes:
            for n in range(count):
                put(folder / part / label / f"{n}.jpg", image_bytes(label, start * 10_000 + n))
    return folder


def class_folders(folder: Path, each: int = 6, classes: tuple[str, ...] = TWO) -> Path:
    """Make ``<class>/<n>.jpg`` and nothing else."""
    for label in classes:
        for n in range(each):
            put(folder / label / f"{n}.jpg", image_bytes(label, n))
    return folder


def flat(
    folder: Path, labelled: int = 3, unlabelled: int = 0, classes: tuple[str, ...] = TWO
) -> Path:
    """Make one flat folder: ``<class>.<n>.jpg``, and ``photo<n>.jpg`` without a label."""
    for label in classes:
        for n in range(labelled):
            put(folder / f"{label}.{n}.jpg", image_bytes(label, n))
    for n in range(unlabelled):
        put(folder / f"photo{n}.jpg", image_bytes(classes[n % len(classes)], 20_000 + n))
    return folder


def csv_list(
    folder: Path,
    train: int = 6,
    valid: int = 0,
    test: int = 4,
    classes: tuple[str, ...] = TWO,
    split: bool = False,
) -> Path:
    """Make ``images/*.jpg`` and return ``images.csv`` with path,label[,split]."""
    rows = []
    for start, (part, count) in enumerate((("train", train), ("valid", valid), ("test", test))):
        for label in classes if part != "test" else ("",):
            for n in range(count):
                path = f"images/{part}-{label}-{n}.jpg"
                put(folder / path, image_bytes(label or classes[n % 2], start * 10_000 + n))
                rows.append([path, label, part][: 3 if split else 2])
    with open(folder / "images.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"][: 3 if split else 2])
        writer.writerows(rows)
    return folder / "images.csv"


def zipped(folder: Path, inner: bool = True) -> Path:
    """Replace ``train/`` and ``test/`` by ``train.zip`` and ``test.zip``.

    With ``inner``, as Kaggle packs them, the names in the archive begin with ``train/``.
    """
    for part in ("train", "test"):
        if not (folder / part).is_dir():
            continue
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
            for path in sorted((folder / part).rglob("*.*")):
                archive.write(path, path.relative_to(folder if inner else folder / part))
        shutil.rmtree(folder / part)
    return folder
