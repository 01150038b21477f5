"""Clocks: whole processes with their peak memory, and several sides that take turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class Ran:
    """A process from its start to its end.

    Attributes
    ----------
    seconds : wall clock, the interpreter's start included
    peak_mb : largest resident memory of the process, or of a child it waited for
    answer : the JSON document in its last line of output
    """

    seconds: float
    peak_mb: float
    answer: dict[str, Any]


def run_process(command: Sequence[str | Path], **environment: str | Path) -> Ran:
    """Run a command in the repository's root under the clock; what it printed is JSON."""
    env = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    asked = [str(word) for word in command]
    with tempfile.TemporaryDirectory() as folder:
        result, out, err = (Path(folder, name) for name in ("result", "out", "err"))
        launched = [sys.executable, "-S", str(_LAUNCHER), str(result), *asked]
        with out.open("wb") as to, err.open("wb") as wrong:
            subprocess.run(launched, cwd=ROOT, env=env, stdout=to, stderr=wrong, check=True)
        used = json.loads(result.read_text())
        if used["code"]:
            raise RuntimeError(f"{' '.join(asked)} failed:\n{err.read_text()[-3000:]}")
        answer = json.loads(out.read_text().strip().splitlines()[-1])
    return Ran(used["seconds"], used["peak_bytes"] / 1e6, answer)


def fit_command(data: Path, *options: str | Path) -> list[str | Path]:
    """Return the command line of a fit that answers in JSON."""
    return [sys.executable, "-m", "engine", "fit", data, *options, "--json"]


def take_turns(sides: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """Call every side once, then again, so that a busy minute falls on all of them."""
    results: dict[str, list[T]] = {name: [] for name in sides}
    for turn in range(repeats):
        for name, side in sides.items():
            begun = time.perf_counter()
            results[name].append(side())
            took = time.perf_counter() - begun
            print(f"{turn + 1}/{repeats} {name}: {took:.1f} s", file=sys.stderr, flush=True)
    return results


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a call took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def median_seconds(runs: Sequence[Ran]) -> float:
    """Return the median time of some processes."""
    return statistics.median(run.seconds for run in runs)


def verdict(met: bool) -> str:
    """Return what stands beside a goal."""
    return "met" if met else "**missed**"
