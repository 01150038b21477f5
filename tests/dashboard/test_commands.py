"""What the page starts is a command of ours, with the options that were chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.shared import commands
from engine.runs import jobs
from engine.runs.fit_options import FitOptions
from tests.support.jobs import stand_in, state, until


@pytest.fixture
def worker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_in(home, monkeypatch)


def test_the_demo_is_started_once(worker: Path) -> None:
    run = commands.start_demo()
    until(lambda: state(run) == "running")
    assert commands.start_demo() == run
    assert "demo" in jobs.last_log_lines(run)[0] and "--fit" in jobs.last_log_lines(run)[0]
    jobs.cancel(run)
    until(lambda: state(run) == "cancelled")


def test_a_fit_is_started_with_its_options_into_its_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(
        jobs, "start_command", lambda arguments, *_, **__: started.append(arguments)
    )
    run = commands.start_fit(FitOptions("/images", sample=True, batch_size=8))
    assert started == [
        ["fit", "/images", "--batch-size=8", "--sample", "--into", run.name, "--json"]
    ]
