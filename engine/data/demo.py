"""Draws the demo images: cats and dogs in Kaggle's layout, some of them difficult on purpose."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import portable
from engine.data.drawing.image import CHOICES, CLASSES, TEST, TRAIN, DemoImage, occluder_of
from engine.data.drawing.workers import draw_all
from engine.errors import UserError
from engine.runs.fit_options import FitOptions

FORMAT_VERSION = 2  # increase when the drawings change, so that older demos are drawn again

# Number of planted images in each 100; their positions are drawn anew for each 100.
_PLANTED_TRAIN = {
    "occlusion": 2,
    "wrong-label": 2,
    "background-clutter": 1,
    "darkness": 1,
    "blur": 1,
    "deformation": 1,
    "both-animals": 1,
    "neither": 1,
}
_PLANTED_TEST = {
    "near-duplicate": 3,
    "occlusion": 1,
    "background-clutter": 1,
    "darkness": 1,
    "blur": 1,
    "deformation": 1,
    "both-animals": 1,
    "neither": 1,
}
KINDS = (*_PLANTED_TRAIN, "near-duplicate", "undecodable")
_MINIMUM_TRAIN = 20


@dataclass(frozen=True)
class DemoSummary:
    """The content of a demo folder.

    Attributes
    ----------
    folder : the folder
    train, test : number of labelled and of unlabelled images
    planted : number of images with a planted difficulty, by its kind
    """

    folder: Path
    train: int
    test: int
    planted: dict[str, int]


def demo_options(folder: Path) -> FitOptions:
    """Return the fit options that suit the drawings: a small network from random weights."""
    return FitOptions(
        folder,
        backbone=("resnet18",),
        weights=("none",),
        train="all",
        image_size=80,
        epochs=16,
        name="Demo",
    )


def draw_demo(
    folder: Path,
    train: int = 1200,
    test: int = 300,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> DemoSummary:
    """Draw a labelled and an unlabelled set of cats and dogs into ``folder`` atomically.

    The folder gets ``train/cat.0.jpg``, ``train/dog.0.jpg``, ..., ``test/1.jpg``, ...,
    ``sample_submission.csv``, ``planted.csv`` (path, kind, detail) and ``demo.json``. The same
    seed draws the same bytes, and an image does not depend on the number of the others, except that
    a near-duplicate needs its training image. An existing folder with the same demo is unchanged.

    Parameters
    ----------
    train : number of labelled images, at least 20, half of them cats
    test : number of unlabelled images, at least 1
    progress : called repeatedly with (images done, images in total)

    Raises
    ------
    UserError
        If there are too few images, the seed is negative, the folder holds something else, or
        the disk cannot be written.
    """
    if train < _MINIMUM_TRAIN:
        raise UserError(
            f"is too few: choose {_MINIMUM_TRAIN} or more.", option="train", value=train
        )
    if test < 1:
        raise UserError("is too few: choose 1 or more.", option="test", value=test)
    if seed < 0:
        raise UserError("is negative: choose 0 or more.", option="seed", value=seed)
    images = _plan(train, test, seed)
    counts = Counter(image.kind for image in images if image.kind)
    planted = {kind: counts[kind] for kind in KINDS if counts[kind]}
    summary = DemoSummary(folder, train, test, planted)
    try:
        target = folder.resolve()
        if target.exists() and not target.is_dir():
            raise UserError(f"{folder} is a file: name a folder that is new or empty.")
        if target.exists() and any(target.iterdir()):
            if not _holds(target, images, _card(summary, seed)):
                raise UserError(f"{folder} is not empty: name a folder that is new or empty.")
            return summary
        with _whole_folder(target) as temporary:
            (temporary / "train").mkdir()
            (temporary / "test").mkdir()
            draw_all(temporary, images, seed, progress)
            _write_tables(temporary, images, test, seed)
            card = json.dumps(_card(summary, seed), indent=2) + "\n"
            (temporary / "demo.json").write_text(card, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{folder} could not be written ({reason}); nothing was kept.") from error
    return summary


# --- the plan: the content of each image ---------------------------------------------------------


def _plan(train: int, test: int, seed: int) -> list[DemoImage]:
    damaged = int(np.random.default_rng([seed, CHOICES]).integers(_MINIMUM_TRAIN))
    kinds = _kinds(seed, TRAIN, train, _PLANTED_TRAIN)
    kinds[damaged] = "undecodable"
    labelled = []
    for number, kind in enumerate(kinds):
        name = CLASSES[number % 2]
        animal = CLASSES[1 - number % 2] if kind == "wrong-label" else name
        path = f"train/{name}.{number // 2}.jpg"
        labelled.append(DemoImage(path, TRAIN, number, animal, kind))
    unlabelled = []
    for number, kind in enumerate(_kinds(seed, TEST, test, _PLANTED_TEST), start=1):
        path = f"test/{number}.jpg"
        if kind == "near-duplicate":
            source = _plain_near(labelled, 4 * number)
            unlabelled.append(DemoImage(path, TEST, number, source.animal, kind, source))
        else:
            animal = CLASSES[int(np.random.default_rng([seed, TEST, number]).integers(2))]
            unlabelled.append(DemoImage(path, TEST, number, animal, kind))
    return labelled + unlabelled


def _kinds(seed: int, split: int, count: int, planted: dict[str, int]) -> list[str]:
    """Return the kind of each image, "" for a plain one; independent of ``count``."""
    hundred = [kind for kind, times in planted.items() for _ in range(times)]
    hundred += [""] * (100 - len(hundred))
    kinds: list[str] = []
    while len(kinds) < count:
        order = np.random.default_rng([seed, CHOICES, split, len(kinds)]).permutation(100)
        kinds += [hundred[place] for place in order]
    return kinds[:count]


def _plain_near(images: list[DemoImage], number: int) -> DemoImage:
    turn = (images[(number + step) % len(images)] for step in range(len(images)))
    return next(image for image in turn if not image.kind)


def _detail(image: DemoImage, seed: int) -> str:
    """Describe what a planted image shows."""
    if image.source is not None:
        return image.source.path
    if image.kind == "both-animals":
        return "cat and dog"
    if image.kind == "neither":
        return "no animal"
    if image.kind == "occlusion":
        return f"{image.animal} behind {occluder_of(image, seed)}"
    return image.animal


# --- the folder ---------------------------------------------------------------------------------


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """Yield a hidden folder beside ``target`` that is renamed to it if the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name}.tmp-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        portable.replace_empty_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _card(summary: DemoSummary, seed: int) -> dict[str, object]:
    return {
        "format_version": FORMAT_VERSION,
        "train": summary.train,
        "test": summary.test,
        "seed": seed,
        "planted": summary.planted,
    }


def _holds(folder: Path, images: list[DemoImage], card: dict[str, object]) -> bool:
    try:
        if json.loads((folder / "demo.json").read_text(encoding="utf-8")) != card:
            return False
    except (OSError, ValueError):
        return False
    found = {path.relative_to(folder).as_posix() for path in folder.glob("*/*")}
    tables = all((folder / name).is_file() for name in ("sample_submission.csv", "planted.csv"))
    return tables and found == {image.path for image in images}


def _write_tables(folder: Path, images: list[DemoImage], test: int, seed: int) -> None:
    rows = "".join(f"{number},0.5\n" for number in range(1, test + 1))
    (folder / "sample_submission.csv").write_text("id,label\n" + rows, encoding="utf-8")
    with open(folder / "planted.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "kind", "detail"])
        for image in images:
            if image.kind:
                writer.writerow([image.path, image.kind, _detail(image, seed)])
