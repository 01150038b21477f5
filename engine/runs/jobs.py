"""Queues, starts, follows and cancels a fit in a process that continues after its parent ends."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import UserError
from engine.runs.background import start_command
from engine.runs.files import open_log, write_atomic
from engine.runs.fit_options import FitOptions
from engine.runs.opening import open_regular, tail_of
from engine.runs.run import Run
from engine.runs.run_config import RunConfig
from engine.runs.run_list import create_run, list_runs

LOG = "fit.log"
STAGES = ("draw", "list", "features", "compare", "train", "predict")
_NAME = r"(?:timm/)?[A-Za-z0-9_]{1,60}(?:\.[A-Za-z0-9_]{1,60})?"
_BACKBONE = re.compile(rf"{_NAME}(?:\+{_NAME})*")
_STARTED: dict[str, object] = {}  # the last start of each run by this process
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class JobProgress:
    """The progress of a fit.

    Attributes
    ----------
    state : queued, running, done, failed, cancelled or lost
    stage : one of ``STAGES``, '' before the first
    done, total : images of the stage; total is 0 if unknown
    images_per_second : of the stage, 0.0 if unknown
    seconds_left : of the stage, None if unknown
    message : how the fit ended, '' while it runs
    cancelling : whether it still runs but was asked to stop
    """

    state: str
    stage: str = ""
    done: int = 0
    total: int = 0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    message: str = ""
    cancelling: bool = False

    @property
    def active(self) -> bool:
        """Return whether a process works on it, or will."""
        return self.state in ("queued", "running")


def queue_fit(options: FitOptions) -> Run:
    """Make a queued run for a fit, and store the options in it.

    Raises
    ------
    UserError
        When the backbone's name is invalid, or the workspace cannot be written.
    """
    backbone = options.network
    if not _BACKBONE.fullmatch(backbone):
        raise UserError(
            "is not the name of a model; vgg16 is the default.", option="backbone", value=backbone
        )
    return create_run(
        RunConfig(
            backbone,
            name=options.name,
            data=str(options.path.absolute()),
            request=options.changed(),
        )
    )


def start_job(run: Run, arguments: Sequence[str]) -> None:
    """Start ``python -m engine ARGUMENTS`` to fill a queued run, and return immediately.

    The command's output is stored in the run's folder.

    Raises
    ------
    UserError
        When it cannot be started.
    """
    try:
        with open_log(run.folder / LOG, append=True) as log:
            command = " ".join(["python", "-m", "engine", *arguments])
            log.write(time.strftime("%Y-%m-%d %H:%M:%S  ").encode())
            log.write(command.encode("utf-8", "backslashreplace") + b"\n")
            started = _STARTED[run.name] = object()
            start_command(arguments, lambda code: _ended(run, started, code), out=log, err=log)
    except (OSError, ValueError) as error:
        reason = f"the process could not be started ({error})."
        run.set_status("failed", message=f"The fit failed: {reason}")
        raise UserError(f"{run.name}: {reason}") from error


def cancel(run: Run) -> None:
    """Ask a fit to stop; it stops at its next step."""
    write_atomic(run.folder / "cancel", "")


def progress_of(run: Run) -> JobProgress:
    """Return the progress of a fit, even if its status file is damaged."""
    status = run.status
    active = status.state in ("queued", "running")
    rate, total = status.images_per_second, status.total
    counting = status.state == "running" and rate > 0 and status.done < total
    left = (total - status.done) / rate if counting else None
    return JobProgress(
        status.state, status.stage, status.done, total, rate, left, status.message,
        active and run.cancel_requested,
    )  # fmt: skip


def running_jobs() -> list[Run]:
    """Return the running and queued fits, newest first."""
    return [run for run in list_runs() if progress_of(run).active]


def last_log_lines(run: Run, n: int = 12) -> list[str]:
    """Return the last lines that the child wrote, oldest first, without terminal codes."""
    try:
        with open_regular(run.folder / LOG) as file:
            text = tail_of(file)
    except OSError:
        return []
    lines = (_ESCAPES.sub("", line).rstrip() for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if line][-n:]


def _ended(run: Run, started: object, code: int) -> None:
    if _STARTED.get(run.name) is not started:
        return  # it was started again meanwhile
    if run.status.state == "queued":  # it ended before it could say a word
        said = "".join(last_log_lines(run, 1)).removeprefix("Error: ")
        run.set_status("failed", message=said or f"It ended with status {code}.")
