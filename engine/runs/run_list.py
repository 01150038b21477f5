"""The runs of the workspace: made, listed, and found by name."""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from engine.errors import UserError
from engine.runs.files import workspace
from engine.runs.opening import make_folder
from engine.runs.run import Run
from engine.runs.run_config import RunConfig, write_config

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_NO_NAME, _MOST_NAME = re.compile(r"[^A-Za-z0-9._-]+"), 80  # of backbones in a run's name
_SECOND = len("20260301T123007Z")  # with which a run's name begins


def create_run(
    config: RunConfig, now: datetime | None = None, begin: Callable[[Run], object] | None = None
) -> Run:
    """Make a new run folder, named after UTC time, backbone and six random digits.

    The run is queued, unless ``begin`` changes that before the run is visible: a process that fills
    the run itself takes its lock in ``begin``, so that a killed run always counts as lost.

    Raises
    ------
    UserError
        If the workspace cannot be written.
    """
    started = time.time_ns()
    now = now or datetime.fromtimestamp(started / 1e9, UTC)
    network = _NO_NAME.sub("-", config.backbone)[:_MOST_NAME]
    name = f"{now:%Y%m%dT%H%M%SZ}-{network}-{secrets.token_hex(3)}"
    run = Run(workspace() / "runs" / name)
    try:
        make_folder(run.folder)
    except OSError as error:
        raise UserError(f"{run.folder} could not be created ({error.strerror}).") from error
    run.set_status("queued")
    if begin:
        begin(run)
    # The config comes last: it makes the folder a run.
    created = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    write_config(run.folder / "config.json", replace(config, created=created, started_ns=started))
    return run


def open_run(name: str) -> Run:
    """Find a run by its name, by a unique beginning of it, or by ``latest``.

    ``latest`` is the run that was started last of those that are done. The name is never used as
    a path.

    Raises
    ------
    UserError
        If there is no such run, several match, or its config cannot be read.
    """
    run = named(name)
    assert run.config  # raises an error if damaged or of a newer version
    return run


def named(name: str, place: str = "runs") -> Run:
    """Find a run as `open_run` does, but also a damaged one.

    Parameters
    ----------
    place : runs, or bin for the deleted ones
    """
    if name == "latest":
        runs = [run for run in list_runs(place) if run.status.state == "done" and not run.damage]
        if not runs and place == "bin":
            raise UserError("the bin has no finished run; `second-look runs --deleted` lists it.")
        if not runs:
            raise UserError(
                f"there is no finished run in {workspace()}; start with `second-look fit`."
            )
        name = runs[0].name
    command = "second-look runs" + (" --deleted" if place == "bin" else "")
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is not the name of a run; `{command}` lists them.")
    folder = workspace() / place / name
    whole = (folder / "config.json").is_file()
    matching = [Run(folder)] if whole else [r for r in list_runs(place) if r.name.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    what = "is not a run" if not matching else f"is the beginning of {len(matching)} runs"
    where = workspace() / place if place == "bin" else workspace()
    raise UserError(f"{name} {what} in {where}; `{command}` lists them.")


def list_runs(place: str = "runs") -> list[Run]:
    """Return all runs, or the deleted ones in the bin, the one that was started last first."""
    runs = [Run(path.parent) for path in (workspace() / place).glob("*/config.json")]
    seconds = Counter(run.name[:_SECOND] for run in runs)

    def start(run: Run) -> tuple[str, int, str]:
        second = run.name[:_SECOND]
        return second, _started_ns(run) if seconds[second] > 1 else 0, run.name

    return sorted(runs, key=start, reverse=True)


def _started_ns(run: Run) -> int:
    try:
        return run.config.started_ns
    except UserError:
        return 0
