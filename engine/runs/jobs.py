"""Start, follow and cancel a fit in a child process that outlives whoever started it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.runs.background import start_command
from engine.runs.files import workspace, write_atomic
from engine.runs.run import Run, create_run, list_runs

LOG = "fit.log"
STAGES = ("draw", "list", "decode", "features", "train", "predict")
OPTIONS = (
    "backbone", "weights", "train", "epochs", "batch_size", "lr", "image_size", "valid", "sample",
    "seed", "device", "precision", "name", "folds", "verdicts",
)  # fmt: skip
DEMO: dict[str, Any] = {
    "backbone": "resnet18",
    "weights": "none",
    "train": "all",
    "image_size": 80,
    "epochs": 16,
}

_TAIL_BYTES = 64_000
_BACKBONE = re.compile(r"[A-Za-z0-9_]{1,60}")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class JobProgress:
    """Where a fit stands.

    Attributes
    ----------
    state : queued, running, done, failed, cancelled or lost
    stage : one of ``STAGES``, '' before the first
    done, total : of the stage; total is 0 where it is not known
    images_per_second : of the stage, 0.0 where it is not known
    seconds_left : of the stage, None where it cannot be told
    message : how it ended, '' while it goes on
    cancelling : whether it goes on but was asked to stop
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
        """Tell whether a process still works on it."""
        return self.state in ("queued", "running")


def start_fit(data: Path, options: Mapping[str, Any]) -> Run:
    """Make a queued run and start ``python -m engine fit`` for it; returns at once.

    Parameters
    ----------
    options
        Choices of ``fit`` by the names in ``OPTIONS``; None or no entry means the default.

    Raises
    ------
    UserError
        When the backbone's name is no name, or the child cannot be started.
    ValueError
        On an option that ``fit`` does not have.
    """
    if unknown := set(options) - set(OPTIONS):
        raise ValueError(f"fit has no options {sorted(unknown)}")
    data = data.expanduser().absolute()
    chosen = {key: value for key, value in options.items() if value not in (None, "", False)}
    run = _queued(data, chosen)
    return _start(run, ["fit", str(data), *_flags(chosen), "--into", run.name, "--json"])


def start_demo() -> Run:
    """Start drawing the demo images and fitting them; a demo already under way is returned.

    Raises
    ------
    UserError
        When the child cannot be started.
    """
    data = workspace() / "demo"
    for run in running_jobs():
        if run.config.get("data") == str(data):
            return run
    run = _queued(data, {**DEMO, "name": "Demo"})
    return _start(run, ["demo", str(data), "--fit", "--into", run.name, "--json"])


def cancel(run: Run) -> None:
    """Ask a fit to stop; it does so at its next step."""
    write_atomic(run.folder / "cancel", "")


def progress_of(run: Run) -> JobProgress:
    """Return where a fit stands, whatever its status file holds."""
    status = run.status
    state = str(status.get("state", "lost"))
    done, total = int(_number(status, "done")), int(_number(status, "total"))
    rate = _number(status, "images_per_second")
    left = (total - done) / rate if state == "running" and rate > 0 and total else None
    message = str(status.get("message") or "")
    cancelling = state in ("queued", "running") and run.cancel_requested
    return JobProgress(
        state, str(status.get("stage") or ""), done, total, rate, left, message, cancelling
    )


def running_jobs() -> list[Run]:
    """Return the fits that a process works on or will work on, newest first."""
    return [run for run in list_runs() if progress_of(run).active]


def last_log_lines(run: Run, n: int = 12) -> list[str]:
    """Return the last lines that the child wrote, oldest first, without terminal codes."""
    try:
        with open(run.folder / LOG, "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL_BYTES, 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = (_ESCAPES.sub("", line).rstrip() for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if line][-n:]


def _queued(data: Path, chosen: Mapping[str, Any]) -> Run:
    backbone = str(chosen.get("backbone", "vgg16"))
    if not _BACKBONE.fullmatch(backbone):
        raise UserError(f"--backbone {backbone!r} is no model's name; vgg16 is the default.")
    config: dict[str, Any] = {
        "request": dict(chosen),
        "data": str(data),
        "name": chosen.get("name"),
        "class_names": [],
    }
    return create_run(backbone, config)


def _flags(chosen: Mapping[str, Any]) -> list[str]:
    # `--name=-x`, not `--name -x`: a value may begin with a dash.
    return [
        f"--{key.replace('_', '-')}" + ("" if value is True else f"={value}")
        for key, value in chosen.items()
    ]


def _start(run: Run, arguments: Sequence[str]) -> Run:
    try:
        with open(run.folder / LOG, "ab") as log:
            said = " ".join(["python", "-m", "engine", *arguments])
            log.write(time.strftime("%Y-%m-%d %H:%M:%S  ").encode())
            log.write(said.encode("utf-8", "backslashreplace") + b"\n")
            log.flush()
            start_command(arguments, lambda code: _ended(run, code), out=log, err=log)
    except (OSError, ValueError) as error:
        reason = f"the process could not be started ({error})."
        run.set_status("failed", message=f"The fit failed: {reason}")
        raise UserError(f"{run.name}: {reason}") from error
    return run


def _ended(run: Run, code: int) -> None:
    if run.status.get("state") == "queued":  # it ended before it could say a word
        lines = last_log_lines(run, 1)
        run.set_status("failed", message=lines[0] if lines else f"It ended with status {code}.")


def _number(status: Mapping[str, Any], key: str) -> float:
    value = status.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
