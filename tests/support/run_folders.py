"""Run folders with a config that a test writes key by key, as it stands in the file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from engine.runs.files import read_json, write_json
from engine.runs.run import Run
from engine.runs.run_config import RunConfig
from engine.runs.run_list import create_run
from engine.runs.triage import COLUMNS, save_triage


def run_with(backbone: str, keys: Mapping[str, Any], now: datetime | None = None) -> Run:
    """Make a queued run whose ``config.json`` has these keys."""
    run = create_run(RunConfig(backbone), now)
    set_keys(run, **keys)
    return run


def set_keys(run: Run, **keys: Any) -> None:
    """Add or replace keys of a run's ``config.json``."""
    path = run.folder / "config.json"
    write_json(path, {**read_json(path), **keys})


def suspected(run: Run, ids: list[str], reason: str = "because") -> None:
    """Write a list of suspects, all of them valid images."""
    images = run.images
    rows = images[images["split"] == "valid"].set_index("id").loc[ids].reset_index()
    rows = rows.assign(suggested="", kind="label", score=np.arange(len(ids))[::-1], reason=reason)
    save_triage(run, rows[COLUMNS])
