"""Copies images of a run into a new folder, with one subfolder per class."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath

from engine import portable
from engine.errors import UserError
from engine.runs.files import write_atomic
from engine.runs.opening import read_file
from engine.runs.run import Run

MOST_IMAGES = 5000
_FORBIDDEN = frozenset('<>:"/\\|?*')
_MOST_LETTERS = 50  # of up to four bytes each; a file system takes 255


@dataclass(frozen=True)
class ImageCopy:
    """An image to copy: its file, its checksum in the run, and its class."""

    source: Path
    sha256: str
    class_name: str


@dataclass(frozen=True)
class ImageExport:
    """The new folder, its number of images, and the number of missing or changed images."""

    folder: Path
    copied: int
    left_out: int


def export_images(run: Run, images: Sequence[ImageCopy]) -> ImageExport:
    """Copy images into a new folder of the run, `exports/<UTC time>-<6 hex>/<class>/<file>`.

    Nothing is overwritten: if two safe names are equal, the second gets a number. An image is
    copied only if its checksum is still that of the run.

    Raises
    ------
    UserError
        If there are too many images, or the disk cannot be written.
    """
    if len(images) > MOST_IMAGES:
        raise UserError(f"{len(images):,} images are too many; choose at most {MOST_IMAGES:,}.")
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    folder, taken = run.folder / "exports" / name, set[str]()
    classes: dict[str, str] = {}
    copied = 0
    for image in images:
        try:
            content = read_file(image.source)
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() != image.sha256:
            continue
        if image.class_name not in classes:
            classes[image.class_name] = _free(safe_name(image.class_name), taken)
        below = classes[image.class_name]
        write_atomic(folder / _free(f"{below}/{safe_name(image.source.name)}", taken), content)
        copied += 1
    return ImageExport(folder, copied, len(images) - copied)


def safe_name(name: str) -> str:
    """Return a name that is valid on every file system, not hidden, and not a path."""
    letters = [c if c.isprintable() and c not in _FORBIDDEN else "_" for c in name]
    path = PurePath("".join(letters).strip(" .")[-_MOST_LETTERS:].strip(" .") or "_")
    return f"_{path}" if portable.unusable_name(str(path)) else str(path)


def _free(path: str, taken: set[str]) -> str:
    """Return a path, with a number if it is taken in any case, and take it."""
    wanted, number = PurePath(path), 1
    while path.casefold() in taken:
        number += 1
        path = str(wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}"))
    taken.add(path.casefold())
    return path
