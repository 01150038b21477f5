"""One process against two of torchrun on this machine: seconds, and equality of predictions."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.runs.prediction_files import load_predictions
from tests.benchmarks.clocked import Ran, fit_command, run_process, take_turns
from tests.benchmarks.material import IMAGES, REPEATS, labelled_split, weights_file
from tests.benchmarks.report import load, machine, table

TITLE = "One process and two"
RANKS = 2
FEW = 256  # images for training the whole network


def measure() -> str:
    """Measure everything and return the section."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        split = labelled_split(folder / "images")
        few = labelled_split(folder / "few", min(FEW, IMAGES))
        weights, said = weights_file("mobilenet_v2", folder)
        head = ("--backbone", "mobilenet_v2", "--weights", weights, "--epochs", "5")
        whole = ("--backbone", "resnet18", "--weights", "none", "--train", "all", "--epochs", "2",
                 "--image-size", "64", "--precision", "float32", "--lr", "1e-5")  # fmt: skip
        rows = _compared(folder, "head, mobilenet_v2", fit_command(split.folder, *head))
        rows += _compared(folder, "all, resnet18 at 64 pixels", fit_command(few.folder, *whole))
    columns = ("", "seconds", "of 1 process", "log loss", "largest change of a probability", "load")
    told = [machine(("torch", "torchvision")), table(columns, rows)]
    return "\n\n".join(
        [*told, f"{split.said} for the head ({said}), {len(few.files)} for all{_HOW}"]
    )


def _compared(folder: Path, title: str, command: list[str | Path]) -> list[list[str]]:
    turns = iter(range(10_000))
    homes: dict[int, list[Path]] = {1: [], RANKS: []}

    def run(ranks: int) -> Callable[[], Ran]:
        def fit() -> Ran:
            home = folder / f"home-{title.split(',')[0]}-{next(turns)}"
            homes[ranks].append(home)
            return run_process(_across(command, ranks), SECONDLOOK_HOME=home)

        return fit

    runs = take_turns({f"{title}, {n} at work": run(n) for n in homes}, REPEATS)
    rows = []
    for (name, repeated), made in zip(runs.items(), homes.values(), strict=True):
        seconds = statistics.median(ran.seconds for ran in repeated)
        alone = statistics.median(ran.seconds for ran in next(iter(runs.values())))
        loss = repeated[-1].answer["valid"]["log_loss"]
        change = max(_change(a, b) for a, b in zip(homes[1], made, strict=True))
        rows.append(
            [
                name,
                f"{seconds:.1f}",
                f"{seconds / alone:.2f}",
                f"{loss:.4f}",
                f"{change:.1e}",
                load(),
            ]
        )
    return rows


def _across(command: list[str | Path], ranks: int) -> list[str | Path]:
    if ranks == 1:
        return command
    runner = ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}"]
    return [sys.executable, *runner, *command[1:]]  # python -m engine becomes torchrun -m engine


def _change(home: Path, other: Path) -> float:
    """Return how far the validation probabilities of two homes' only runs lie apart at most."""
    a, b = (
        load_predictions(next(folder.glob("runs/*/predictions/valid.parquet")))
        for folder in (home, other)
    )
    assert a.ids.equals(b.ids), "the runs predicted different images"
    return float(np.abs(a.probabilities - b.probabilities).max())


_HOW = """. Whole processes, cold, medians of runs that take turns; two ranks share the same cores,
so what two gain here is what one leaves idle, and what they lose is their second start. The
largest change is over all validation images and all turns, against one process. The whole network
trains in float32 at a learning rate of 1e-5: a greater one makes much of the last bit."""
