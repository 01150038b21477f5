"""Stores a run's list of suspected labels, and starts the process that makes it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from engine.errors import UserError
from engine.runs.background import start_command
from engine.runs.files import atomic_path, is_locked, locked, open_log
from engine.runs.opening import is_file, is_folder, open_regular, tail_of
from engine.runs.parquet_files import open_parquet
from engine.runs.run import OUT_OF_FOLD, Run

SPLIT = OUT_OF_FOLD[1]  # made with the list if the run has no out-of-fold predictions
COLUMNS = ["id", "path", "split", "label", "suggested", "kind", "score", "reason", "sha256"]
_PATIENCE = 60.0  # seconds until a started process without a lock counts as lost


def triage_path(run: Run) -> Path:
    """Return the path of the list."""
    return run.folder / "triage.parquet"


def reviewed_split(run: Run) -> str:
    """Return the split whose predictions cover the most labelled images."""
    made = is_file(run.predictions_path(SPLIT)) and is_file(triage_path(run))
    return SPLIT if made and run.labelled_split == "valid" else run.labelled_split


def save_triage(run: Run, found: pd.DataFrame) -> None:
    """Save the list, most suspicious first."""
    with atomic_path(triage_path(run)) as temporary:
        found[COLUMNS].to_parquet(temporary, index=False, compression="zstd")


def load_triage(run: Run) -> pd.DataFrame:
    """Read the list, most suspicious first; ``score`` is float64, all other columns are text.

    Raises
    ------
    UserError
        If there is no list, or the file is damaged.
    """
    path = triage_path(run)
    if not is_file(path):
        raise UserError(f"{path} does not exist; make it with `second-look triage {run.name}`.")
    try:
        with open_parquet(path) as file:
            found = pd.read_parquet(file)
        scores = found["score"].astype(float)
        return found[COLUMNS].assign(score=scores)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged; delete it to make the list again.") from error


@contextmanager
def making_triage(run: Run) -> Iterator[None]:
    """Hold the list's lock while it is made.

    Raises
    ------
    UserError
        If another process is making it.
    """
    with locked(_lock(run), wait=2) as mine:
        if not mine:
            raise UserError(f"{triage_path(run)} is being made by another process.")
        yield


def start_triage(run: Run, arguments: Sequence[str]) -> None:
    """Start the command that makes the list unless it is running, and return immediately.

    Parameters
    ----------
    arguments : arguments of ``python -m engine``

    Raises
    ------
    UserError
        If the child process cannot be started.
    """
    if triage_state(run)[0] == "running":
        return
    try:
        with open_log(_log(run)) as log:
            start_command(arguments, lambda code: _ended(run, code), err=log)
    except OSError as error:
        raise UserError(f"{run.name}: triage could not be started ({error}).") from error


def triage_state(run: Run) -> tuple[str, str]:
    """Return none, running, failed or done (if the list exists), and the reason of a failure."""
    if is_file(triage_path(run)):
        return "done", ""
    if is_locked(_lock(run)):
        return "running", ""
    try:
        with open_regular(_log(run)) as log:
            started, output = os.fstat(log.fileno()).st_mtime, tail_of(log).split()
    except OSError:
        return "none", ""
    if output:
        return "failed", " ".join(output)[-500:].removeprefix("Error: ")
    if time.time() - started < _PATIENCE:
        return "running", ""
    return "failed", "The process ended without reporting an error."


def _ended(run: Run, code: int) -> None:
    if not code or not is_folder(run.folder):
        return
    with suppress(OSError), open_log(_log(run), append=True) as log:
        if not os.fstat(log.fileno()).st_size:
            log.write(f"The process ended with exit code {code}.".encode())


def _log(run: Run) -> Path:
    return run.folder / "triage.log"


def _lock(run: Run) -> Path:
    return run.folder / ".triage.lock"
