"""A stand-in for the engine that a job starts, and waiting for what it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.runs import background, jobs
from engine.runs.fit_options import FitOptions
from engine.runs.run import Run

# A stand-in for the engine: takes the run's lock, says where it is, looks for `cancel`.
WORKER = """
import os, sys, time
from engine.runs.run_list import open_run
run = open_run(sys.argv[sys.argv.index("--into") + 1])
with run.held() as mine:
    assert mine
    print("began", os.nice(0), os.getsid(0) == os.getpid(), flush=True)
    for done in range(600):
        run.set_status("running", stage="features", done=done, total=600, images_per_second=20.0)
        if run.cancel_requested:
            run.set_status("cancelled", message="Stopped on request.")
            break
        time.sleep(0.05)
"""


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def start(options: FitOptions) -> Run:
    run = jobs.queue_fit(options)
    jobs.start_job(run, ["fit", *options.arguments(), "--into", run.name, "--json"])
    return run


def state(run: Run) -> str:
    return jobs.progress_of(run).state


def stand_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the child run WORKER in place of the engine's command line."""
    package = home / "stand_in" / "engine"
    package.mkdir(parents=True)
    real = Path(jobs.__file__).resolve().parents[1]
    (package / "__init__.py").write_text(f"__path__.append({str(real)!r})\n")
    (package / "__main__.py").write_text(WORKER)
    monkeypatch.setattr(background, "_ROOT", package.parent)
    return package
