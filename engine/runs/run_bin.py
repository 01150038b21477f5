"""The bin: runs that were deleted, until it is emptied or they are restored."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from engine import portable
from engine.errors import UserError
from engine.runs.files import is_locked, workspace
from engine.runs.opening import opened_folder
from engine.runs.run import Run
from engine.runs.run_list import list_runs, named


@dataclass(frozen=True)
class Emptied:
    """How many deleted runs were removed for good, and their bytes."""

    runs: int
    bytes: int


def deleted_runs() -> list[Run]:
    """Return the runs in the bin, the one that was started last first."""
    return list_runs("bin")


def delete_run(name: str) -> Run:
    """Move a run to the bin and return it there; a damaged run can be deleted too.

    Raises
    ------
    UserError
        If there is no such run, a process writes it, or it cannot be moved.
    """
    run = named(name)
    if run.status.state in ("queued", "running"):
        raise UserError(f"run {run.name} is being written; cancel it or wait for it.")
    with run.held() as mine:
        if not mine or any(is_locked(lock) for lock in run.folder.rglob(".?*.lock")):
            raise UserError(f"run {run.name} is being written by another process; wait for it.")
        if not portable.on_windows():  # which moves no folder with an open file
            return _moved(run, "bin")
    return _moved(run, "bin")


def restore_run(name: str) -> Run:
    """Move a run from the bin back to the runs, and return it.

    Raises
    ------
    UserError
        If the bin has no such run, there is a run of its name, or it cannot be moved.
    """
    return _moved(named(name, "bin"), "runs")


def empty_bin() -> Emptied:
    """Remove the deleted runs for good.

    Raises
    ------
    UserError
        If one cannot be removed; those before it are gone.
    """
    runs = freed = 0
    for run in deleted_runs():
        size = sum(p.lstat().st_size for p in run.folder.rglob("*") if not p.is_dir())
        try:
            shutil.rmtree(run.folder)
        except OSError as error:
            raise UserError(f"{run.folder} could not be removed ({error.strerror}).") from error
        runs, freed = runs + 1, freed + size
    return Emptied(runs, freed)


def _moved(run: Run, place: str) -> Run:
    target = workspace() / place / run.name
    try:
        with opened_folder(run.folder.parent) as source, opened_folder(target.parent) as into:
            if target.exists():
                raise UserError(f"{target} is already there; rename or remove that folder first.")
            if source is None or into is None:
                os.replace(run.folder, target)
            else:
                os.replace(run.name, run.name, src_dir_fd=source, dst_dir_fd=into)
    except OSError as error:
        raise UserError(f"{run.folder} could not be moved ({error.strerror}).") from error
    return Run(target)
