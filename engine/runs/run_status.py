"""The status of a run, ``status.json``: its progress, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

STATES = ("queued", "running", "done", "failed", "cancelled")  # and "lost", which none writes
_MOST = 1e15  # no number of images or seconds reaches it


@dataclass(frozen=True)
class RunStatus:
    """The status of a run.

    Attributes
    ----------
    state : queued, running, done, failed, cancelled or lost
    message : how it ended, with options as on the command line, '' while it runs
    stage : of the fit, '' before the first
    done, total : images of the stage; total is 0 if unknown
    images_per_second : of the stage, 0.0 if unknown
    pid, updated : the process that wrote it, and when, in seconds since 1970
    """

    state: str
    message: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    images_per_second: float = 0.0
    pid: int = 0
    updated: float = 0.0


def status_of(values: Mapping[str, Any]) -> RunStatus:
    """Return the status from a file's values; defaults replace values that are invalid.

    Raises
    ------
    ValueError
        If the state is missing or unknown.
    """
    if values.get("state") not in STATES:
        raise ValueError("no state")
    if "pictures_per_second" in values:  # as an earlier version wrote it
        values = {"images_per_second": values["pictures_per_second"], **values}
    found: dict[str, Any] = {}
    for field in fields(RunStatus):
        value: Any = values.get(field.name)
        if isinstance(value, str) and not isinstance(field.default, int | float):
            found[field.name] = value
        elif type(value) in (int, float) and isinstance(field.default, int | float):
            if abs(value) < _MOST:
                found[field.name] = type(field.default)(value)
    return RunStatus(**found)
