"""Fits small enough for tests: an untrained SqueezeNet on tiny images, in a given workspace."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.model.fit import FitOptions, FitResult, fit
from engine.runs.run import Run
from tests.support.paths import ROOT


@contextmanager
def home(folder: Path) -> Iterator[None]:
    """Keep runs and caches in this folder meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECONDLOOK_HOME", str(folder))
        yield


def small_options(data: Path, **changes: Any) -> FitOptions:
    settings: dict[str, Any] = {
        "backbone": "squeezenet1_1", "weights": "none", "image_size": 32, "precision": "float32",
        "device": "cpu", "epochs": 3, "batch_size": 8,
    }  # fmt: skip
    return FitOptions(data, **(settings | changes))


def small_fit(data: Path, *, callbacks: dict[str, Any] | None = None, **changes: Any) -> FitResult:
    return fit(small_options(data, **changes), **(callbacks or {}))


def fit_and_kill(data: Path, workspace: Path, stage: str, done: int, **changes: Any) -> None:
    """Fit in a process of its own, which kills itself once ``stage`` has done so many."""
    script = f"""
        import os, signal, sys
        import torch
        from pathlib import Path
        from engine.model import features
        from tests.support.small_fits import small_fit

        torch.set_num_threads(1)
        features.SHARD_ROWS = 16

        def kill(stage, done, total):
            if stage == {stage!r} and done >= {done}:
                os.kill(os.getpid(), signal.SIGKILL)

        small_fit(Path(sys.argv[1]), callbacks=dict(progress=kill), **{changes!r})
    """
    environment = os.environ | {"SECONDLOOK_HOME": str(workspace), "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), data], cwd=ROOT, env=environment
    )
    assert killed.returncode == -9


def tables(run: Run) -> dict[str, Any]:
    """Return what a run predicted, to compare bit by bit."""
    return {split: pq.read_table(run.predictions_path(split)) for split in ("valid", "test")}


def run_folders(workspace: Path) -> list[str]:
    return sorted(path.name for path in (workspace / "runs").iterdir())
