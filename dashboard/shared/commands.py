"""Starts commands of ``python -m engine`` for the pages, each in its own process."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from engine.errors import UserError
from engine.runs import jobs, maps, next_steps, triage
from engine.runs.background import start_command
from engine.runs.files import workspace
from engine.runs.fit_options import FitOptions
from engine.runs.network_names import names_a_file
from engine.runs.opening import remove_file
from engine.runs.run import Run


def start_fit(options: FitOptions) -> Run:
    """Queue a fit, start it, and return its run immediately.

    Raises
    ------
    UserError
        If the backbone's name is invalid or the process cannot be started.
    """
    options = replace(options, data=options.path.expanduser().absolute())
    weights = [  # the fit runs in another folder
        str(Path(each).expanduser().absolute()) if names_a_file(each) else each
        for each in options.weights
    ]
    options = replace(options, weights=tuple(weights))
    run = jobs.queue_fit(options)
    jobs.start_job(run, ["fit", *options.arguments(), "--into", run.name, "--json"])
    return run


def start_again(run: Run) -> None:
    """Start a fit of this page again in its own run, unless a process works on it.

    Features in the cache and a checkpoint are used, so that it goes on where it ended.

    Raises
    ------
    UserError
        If the run does not say what was asked for, or the process cannot be started.
    """
    config = run.config
    if jobs.progress_of(run).active:
        return
    try:
        options = FitOptions.chosen(config.data or "", config.request or {})
        arguments = options.arguments()
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"run {run.name} has no record of its options; start a new fit below."
        ) from error
    if config.request is None or not options.path.is_absolute():
        raise UserError(f"run {run.name} was not started on this page; start a new fit below.")
    drawn = options.path == workspace() / "demo" and options.name == "Demo"
    command = ["demo", str(options.path), "--fit"] if drawn else ["fit", *arguments]
    remove_file(run.folder / "cancel")
    run.set_status("queued")
    jobs.start_job(run, [*command, "--into", run.name, "--json"])


def start_demo() -> Run:
    """Start drawing and fitting the demo images, or return the demo run in progress."""
    from engine.data.demo import demo_options  # imported here because it loads the drawing code

    data = workspace() / "demo"
    for run in jobs.running_jobs():
        if run.config.data == str(data):
            return run
    run = jobs.queue_fit(demo_options(data))
    jobs.start_job(run, ["demo", str(data), "--fit", "--into", run.name, "--json"])
    return run


def start_triage(run: Run) -> None:
    """Start the search for suspected labels unless it is running."""
    triage.triage_of(run).start(["triage", run.name, "--json"])


def start_next_steps(run: Run) -> None:
    """Start measuring what would lower the log loss unless it is running."""
    next_steps.next_steps_of(run).start(["next", run.name, "--json"])


def start_map(run: Run, method: str) -> None:
    """Start making a map unless it exists or is being made."""
    maps.start_map(run, method, ["embed", run.name, "--method", method, "--json"])


def start_features(run: Run) -> None:
    """Start computing the features of a run's images that are missing unless it is running.

    Raises
    ------
    UserError
        If the process cannot be started.
    """
    maps.start_map(run, "pca", ["embed", run.name, "--method", "pca", "--json"], again=True)


def start_directions(run: Run) -> None:
    """Start the comparison of a run's images, for a run of an earlier version.

    Raises
    ------
    UserError
        If the process cannot be started.
    """
    try:
        start_command(["embed", run.name, "--method", "pca", "--json"])
    except OSError as error:
        raise UserError(f"{run.name}: its images could not be compared ({error}).") from error


def start_measuring(run: Run, split: str) -> subprocess.Popen[bytes]:
    """Start measuring the images of a split.

    Raises
    ------
    UserError
        If the process cannot be started.
    """
    try:
        return start_command(["slices", run.name, "--measure", split, "--json"])
    except OSError as error:
        raise UserError(f"{run.name}: its images could not be measured ({error}).") from error
