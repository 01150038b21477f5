"""Training the whole network: the head, `--train all` and fastai's `fine_tune`, side by side."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.clocked import Ran, fit_command, median_seconds, run_process, take_turns
from tests.benchmarks.material import REAL_DATA, weights_file
from tests.benchmarks.report import load, machine, table

TITLE = "Training the whole network against fastai's fine_tune"
SETS = ("flowers", "dogs-vs-cats")
BACKBONE, IMAGES, EPOCHS = "mobilenet_v2", 400, 5
REPEATS = int(os.environ.get("SECONDLOOK_BENCH_REPEATS", "1"))


@dataclass(frozen=True)
class Scored:
    """A process, and what its model scores on the validation images."""

    ran: Ran
    accuracy: float
    log_loss: float


def measure() -> str:
    """Measure everything and return the section."""
    fastai = find_spec("fastai") is not None
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for data in SETS:
            if (REAL_DATA / data / "train").is_dir():
                rows += _set(Path(name), data, fastai)
    if not rows:
        return "Not measured: no photographs here."
    packages = ("torch", "torchvision", *(("fastai",) if fastai else ()))
    head = ("", "", "accuracy", "log loss", "seconds", "n", "load")
    return "\n\n".join([machine(packages), table(head, rows), _HOW])


def _set(folder: Path, name: str, fastai: bool) -> list[list[str]]:
    images = folder / name
    _split(REAL_DATA / name / "train", images)
    weights, _ = weights_file(BACKBONE, folder)
    homes = iter(range(sys.maxsize))

    def ours(*options: str) -> Callable[[], Scored]:
        command = fit_command(images, "--backbone", BACKBONE, "--weights", weights, *options)

        def run() -> Scored:
            ran = run_process(command, SECONDLOOK_HOME=folder / f"home-{name}-{next(homes)}")
            return Scored(ran, ran.answer["valid"]["accuracy"], ran.answer["valid"]["log_loss"])

        return run

    def theirs() -> Scored:
        arguments = (images, BACKBONE, weights, str(EPOCHS), "fine_tune")
        ran = run_process([sys.executable, "-m", "tests.benchmarks.fastai_loop", *arguments])
        return Scored(ran, ran.answer["accuracy"], ran.answer["log_loss"])

    sides = {
        "head": ours(),
        f"--train all, {EPOCHS} epochs": ours("--train", "all", "--epochs", str(EPOCHS)),
    }
    if fastai:
        sides[f"fastai, fine_tune({EPOCHS})"] = theirs
    return [
        [
            name, side, f"{statistics.median(one.accuracy for one in runs):.3f}",
            f"{statistics.median(one.log_loss for one in runs):.4f}",
            f"{median_seconds([one.ran for one in runs]):.1f}", f"{len(runs)}", load(),
        ]
        for side, runs in take_turns(sides, REPEATS).items()
    ]  # fmt: skip


def _split(source: Path, folder: Path) -> None:
    """Copy images as train/<class> and valid/<class>, every fourth of a class to valid."""
    by_class: dict[str, list[Path]] = {}
    for file in sorted(source.rglob("*.jpg")):
        named = file.parent.name if file.parent != source else file.name.split(".")[0]
        by_class.setdefault(named, []).append(file)
    each = IMAGES // len(by_class)
    for named, files in by_class.items():
        for at, file in enumerate(files[:each]):
            place = folder / ("valid" if at % 4 == 3 else "train") / named
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place / file.name)


_HOW = """400 photographs, as many of each class, every fourth held out; ImageNet weights of
MobileNetV2; whole processes from an empty workspace. fastai: `vision_learner` with its head, one
frozen epoch and five of all layers at its default rate, images of 224 pixels."""
