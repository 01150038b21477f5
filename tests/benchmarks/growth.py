"""Whole fits on more and more images: the time should be straight and the memory flat."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.data.demo import draw_demo
from tests.benchmarks.clocked import Ran, fit_command, run_process, take_turns, verdict
from tests.benchmarks.material import REPEATS, weights_file
from tests.benchmarks.report import load, machine, table

TITLE = "Growth with the number of images"
SIZES = tuple(
    int(n) for n in os.environ.get("SECONDLOOK_BENCH_SIZES", "500,1000,2000,4000").split(",")
)
STRAIGHT, FLAT = 0.99, 1.10


def measure() -> str:
    """Measure everything and return the section."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = _sets(folder)
        weights, said = weights_file("mobilenet_v2", folder)
        homes = iter(range(10_000))

        def fit(data: Path) -> Ran:
            home = folder / f"home-{next(homes)}"
            options = ("--backbone", "mobilenet_v2", "--weights", weights, "--epochs", "5")
            return run_process(fit_command(data, *options), SECONDLOOK_HOME=home)

        sides: dict[str, Callable[[], Ran]] = {
            f"{n:,}": lambda data=data: fit(data) for n, data in sets.items()
        }
        runs = take_turns(sides, REPEATS)
    seconds = [statistics.median(run.seconds for run in some) for some in runs.values()]
    peaks = [statistics.median(run.peak_mb for run in some) for some in runs.values()]
    rows = [
        [n, f"{s:.1f}", f"{mb:.0f}", load()] for n, s, mb in zip(runs, seconds, peaks, strict=True)
    ]
    told = table(("labelled images", "seconds", "peak memory, MB", "load"), rows)
    packages = ("torch", "torchvision")
    return "\n\n".join([machine(packages), told, _judged(list(sets), seconds, peaks), _HOW + said])


def straight_line(x: list[int], y: list[float]) -> tuple[float, float, float]:
    """Return slope, intercept and R² of the least-squares line."""
    slope, intercept = np.polyfit(x, y, 1)
    left = np.asarray(y) - (slope * np.asarray(x) + intercept)
    return float(slope), float(intercept), float(1 - left.var() / np.var(y))


def _judged(sizes: list[int], seconds: list[float], peaks: list[float]) -> str:
    slope, intercept, r2 = straight_line(sizes, seconds)
    spread = max(peaks) / min(peaks)
    return (
        f"Time: {intercept:.1f} s and {1000 * slope:.2f} ms an image, R² {r2:.4f} "
        f"(goal {STRAIGHT}): {verdict(r2 >= STRAIGHT)}. Memory: the largest peak is {spread:.3f} "
        f"times the smallest (goal {FLAT}): {verdict(spread <= FLAT)}."
    )


def _sets(folder: Path) -> dict[int, Path]:
    """Draw images once; a smaller set links to the first of them."""
    draw_demo(folder / "drawn", train=max(SIZES), test=1)
    drawn = folder / "drawn" / "train"
    first = sorted(drawn.iterdir(), key=lambda file: int(file.name.split(".")[1]))
    sets = {}
    for n in SIZES:
        sets[n] = folder / f"set-{n}"
        (sets[n] / "train").mkdir(parents=True)
        for file in first[:n]:
            os.link(file, sets[n] / "train" / file.name)
    return sets


_HOW = """Whole processes, cold cache, MobileNetV2, 5 epochs of the head, medians of runs that take
turns; drawn images of about 500 × 375; peak memory is the process's largest resident set.
Weights: """
