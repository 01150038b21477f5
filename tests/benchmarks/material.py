"""What the benchmarks work on: real photographs and weights where there are, made ones else."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file

from engine.data.demo import draw_demo
from engine.data.formats import Unreadable
from engine.data.images import decode
from tests.benchmarks.clocked import ROOT

REPEATS = int(os.environ.get("SECONDLOOK_BENCH_REPEATS", "3"))
IMAGES = int(os.environ.get("SECONDLOOK_BENCH_IMAGES", "1480"))
REAL_DATA = Path(os.environ.get("SECONDLOOK_TEST_DATA") or ROOT.parent / "shared" / "data")


@dataclass(frozen=True)
class Split:
    """Labelled images as an ImageFolder, which every side reads: train/<class>, valid/<class>.

    Attributes
    ----------
    folder : holds train and valid
    files : all of them, train first, sorted
    said : what they are, in words
    """

    folder: Path
    files: list[Path]
    said: str


def labelled_split(folder: Path, n: int = IMAGES) -> Split:
    """Copy labelled images into ``folder``, a quarter of them to valid; draw them if need be."""
    real = sorted((REAL_DATA / "dogs-vs-cats" / "train").glob("*.jpg"))
    files = real or _drawn(folder.parent / "drawn", n)
    random.Random(0).shuffle(files)
    files = files[:n]
    for at, file in enumerate(files):
        place = folder / ("valid" if at % 4 == 3 else "train") / file.name.split(".")[0]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place / file.name)
    kind = "photographs of cats and dogs" if real else "drawn images (no photographs here)"
    copied = sorted(folder.glob("*/*/*.jpg"))
    return Split(folder, copied, f"{len(copied):,} labelled {kind}")


def weights_file(backbone: str, folder: Path) -> tuple[Path, str]:
    """Return a weights file for every side, and what it is: published, or a seeded random state."""
    published = REAL_DATA / "weights" / f"{backbone}.safetensors"
    if published.is_file():
        return published, "ImageNet weights"
    path = folder / f"{backbone}.safetensors"
    if not path.exists():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = torchvision.models.get_model(backbone, weights=None)
        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, path)
    return path, "one seeded random state, saved and given to every side"


def _drawn(folder: Path, n: int) -> list[Path]:
    draw_demo(folder, train=max(20, n + 1 + n // 50), test=1)
    return [file for file in sorted(folder.glob("train/*.jpg")) if _readable(file)]


def _readable(file: Path) -> bool:
    try:
        decode(file.read_bytes())
    except Unreadable:
        return False
    return True
