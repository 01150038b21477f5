"""Stores the threshold on P(positive) that was chosen for a run of two classes."""

from __future__ import annotations

from pathlib import Path

from engine.errors import UserError
from engine.runs.files import read_json, write_json
from engine.runs.opening import remove_file
from engine.runs.run import Run


def threshold_path(run: Run) -> Path:
    """Return the path of the file with a run's threshold."""
    return run.folder / "threshold.json"


def load_threshold(run: Run) -> float | None:
    """Return the threshold that was saved for a run, or None."""
    try:
        threshold = float(read_json(threshold_path(run))["threshold"])
    except (UserError, KeyError, TypeError, ValueError):
        return None
    return threshold if 0 <= threshold <= 1 else None


def save_threshold(run: Run, threshold: float | None) -> None:
    """Save a run's threshold, from 0 to 1, or remove it (None)."""
    if threshold is None:
        remove_file(threshold_path(run))
    else:
        write_json(threshold_path(run), {"threshold": threshold})
