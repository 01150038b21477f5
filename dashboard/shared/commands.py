"""The commands of ``python -m engine`` that the page starts, each in a process of its own."""

from __future__ import annotations

import subprocess
from dataclasses import replace

from engine.errors import UserError
from engine.runs import jobs, maps, triage
from engine.runs.background import start_command
from engine.runs.files import workspace
from engine.runs.fit_options import FitOptions
from engine.runs.run import Run


def start_fit(options: FitOptions) -> Run:
    """Queue a fit and start it; returns its run at once.

    Raises
    ------
    UserError
        When the backbone's name is no name, or the process cannot be started.
    """
    options = replace(options, data=options.path.expanduser().absolute())
    run = jobs.queue_fit(options)
    jobs.start_job(run, ["fit", *options.arguments(), "--into", run.name, "--json"])
    return run


def start_demo() -> Run:
    """Start drawing the demo images and fitting them; a demo that is running is returned."""
    from engine.data.demo import demo_options  # only here: it loads the drawing

    data = workspace() / "demo"
    for run in jobs.running_jobs():
        if run.config.get("data") == str(data):
            return run
    run = jobs.queue_fit(demo_options(data))
    jobs.start_job(run, ["demo", str(data), "--fit", "--into", run.name, "--json"])
    return run


def start_triage(run: Run) -> None:
    """Start looking for suspected labels, unless a process does so already."""
    triage.start_triage(run, ["triage", run.name, "--json"])


def start_map(run: Run, method: str) -> None:
    """Start making a map, unless it exists or a process makes it already."""
    maps.start_map(run, method, ["embed", run.name, "--method", method, "--json"])


def start_measuring(run: Run, split: str) -> subprocess.Popen[bytes]:
    """Start measuring the images of a split.

    Raises
    ------
    UserError
        When the process cannot be started.
    """
    try:
        return start_command(["slices", run.name, "--on", split, "--json"])
    except OSError as error:
        raise UserError(f"{run.name}: its images could not be measured ({error}).") from error
