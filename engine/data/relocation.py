"""Tells a run where its images are after they were moved, checked by their checksums."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from engine.errors import UserError, first_ten
from engine.runs.files import sha256_of
from engine.runs.images_table import read_images
from engine.runs.progress import Progress
from engine.runs.roots import check_readable
from engine.runs.run import Run

_PROBED = 20  # images that tell whether a folder holds those of a run
_CHECKED = 2000  # images whose checksum is computed, chosen by their checksums
_FOLDERS = 200  # subfolders that are searched


@dataclass(frozen=True)
class Relocated:
    """Where a run's images are now.

    Attributes
    ----------
    run : its name
    root : the folder that image paths are relative to
    n, found : number of images of the run, and of those found with the same size
    checked : number of images whose checksum was compared; all agree
    """

    run: str
    root: str
    n: int
    found: int
    checked: int

    @property
    def missing(self) -> int:
        """Return the number of images that were not found."""
        return self.n - self.found

    @property
    def sentence(self) -> str:
        """Return the result as one sentence."""
        lost = f"{self.missing:,} are missing" if self.missing else "none is missing"
        return (
            f"{self.found:,} of {self.n:,} images are in {self.root} ({lost}); the checksums of "
            f"{self.checked:,} agree."
        )

    def as_json(self) -> dict[str, Any]:
        """Return the result as `second-look relocate --json` prints it."""
        return {**asdict(self), "missing": self.missing}


def probed_paths(run: Run) -> list[str]:
    """Return the paths of a few of a run's images, spread over its table."""
    paths = read_images(run.folder / "images.parquet", ["path"])["path"]
    spread = range(0, len(paths), max(len(paths) // _PROBED, 1))[:_PROBED]
    return [paths[i].as_py() for i in spread]


def moved_from(run: Run, probed: Sequence[str] | None = None) -> Path | None:
    """Return the former folder of a run's images if none of a few is still there, else None.

    Parameters
    ----------
    probed
        What `probed_paths` returned, if it is known.
    """
    if run.config.root is None:
        return None
    root, few = run.data_root, probed_paths(run) if probed is None else probed
    return root if few and not any((root / path).is_file() for path in few) else None


def relocate(run: Run, folder: Path, progress: Progress | None = None) -> Relocated:
    """Set the folder of a run's images: the given one or one below it, by most matches.

    Sizes of all images and checksums of at most 2,000 are compared.

    Raises
    ------
    UserError
        When there is no such folder, it holds no image of the run or fewer than the present one,
        or an image there has other content.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name the folder that holds the images.")
    check_readable(folder)
    old, images = run.data_root, run.images
    root = max(_candidates(run, folder), key=lambda each: _count(each, images, _PROBED))
    there = _there(root, images)
    if not there.any():
        raise UserError(f"{folder} holds no image of run {run.name}; {_example(images)}.")
    kept = int(_there(old, images).sum())
    if int(there.sum()) < kept:
        raise UserError(
            f"{folder} holds {int(there.sum()):,} images of run {run.name}, fewer than the "
            f"{kept:,} in {old}; the run continues to use {old}."
        )
    checked = images[there].sort_values("sha256").head(_CHECKED)
    _compare(root, checked, progress)
    changes: dict[str, Any] = {"root": str(root)}
    if data := _moved(run.config.data, old, root):
        changes["data"] = data
    run.update_config(**changes)
    return Relocated(run.name, str(root), len(images), int(there.sum()), len(checked))


def _candidates(run: Run, folder: Path) -> Iterator[Path]:
    """Yield the folders that may be the root: this one, as before below it, and its subfolders."""
    yield folder
    old, data = run.data_root, Path(run.config.data or run.data_root)
    if old != data and old.is_relative_to(data):
        yield folder / old.relative_to(data)
    yield folder / old.name
    try:
        inner = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())
    except OSError as error:
        raise UserError(f"{folder} could not be read ({error.strerror}).") from error
    yield from map(Path, inner[:_FOLDERS])


def _count(root: Path, images: pd.DataFrame, most: int) -> int:
    few = images.iloc[:: max(len(images) // most, 1)].head(most)
    return int(_there(root, few).sum())


def _there(root: Path, images: pd.DataFrame) -> pd.Series:
    """Return which images are files of the same size below a folder, bool."""
    sizes = images["bytes"] if "bytes" in images else [None] * len(images)
    found = [_size(root / path) for path in images["path"]]
    there = [
        size is not None and (pd.isna(known) or size == known)
        for size, known in zip(found, sizes, strict=True)
    ]
    return pd.Series(there, index=images.index, dtype=bool)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _compare(root: Path, images: pd.DataFrame, progress: Progress | None) -> None:
    paths, expected = images["path"].tolist(), images["sha256"].tolist()
    other = []
    with ThreadPoolExecutor(4) as pool:
        sums = pool.map(lambda path: sha256_of(root / path), paths)
        for done, (path, now, then) in enumerate(zip(paths, sums, expected, strict=True), 1):
            if now != then:
                other.append(path)
            if progress and (done % 64 == 0 or done == len(paths)):
                progress("list", done, len(paths))
    if other:
        raise UserError(
            f"the images in {root} differ from those that the run read: {first_ten(other)}; name "
            "the folder of the original images."
        )


def _moved(data: str | None, old: Path, new: Path) -> str | None:
    """Return where the data lie now, None where that does not follow from where the images do."""
    if data is None:
        return None
    given = Path(data)
    if given == old or old in given.parents:
        now = new / given.relative_to(old)
    elif given in old.parents and new.parts[-len(old.relative_to(given).parts) :] == (
        old.relative_to(given).parts
    ):
        now = new.parents[len(old.relative_to(given).parts) - 1]
    else:
        return None
    return str(now) if now.exists() else None


def _example(images: pd.DataFrame) -> str:
    return f"it should hold {images['path'].iloc[0]!r}" if len(images) else "the run lists none"
