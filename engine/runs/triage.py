"""Stores a run's list of suspected labels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from engine.errors import UserError
from engine.runs.files import atomic_path
from engine.runs.opening import is_file
from engine.runs.parquet_files import open_parquet
from engine.runs.run import OUT_OF_FOLD, Run
from engine.runs.side_result import SideResult

SPLIT = OUT_OF_FOLD[1]  # made with the list if the run has no out-of-fold predictions
COLUMNS = ["id", "path", "split", "label", "suggested", "kind", "score", "reason", "sha256"]


def triage_path(run: Run) -> Path:
    """Return the path of the list."""
    return run.folder / "triage.parquet"


def triage_of(run: Run) -> SideResult:
    """Return the list as a file that `triage` makes."""
    return SideResult(run, "triage", triage_path(run))


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
