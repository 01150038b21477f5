"""The run folder and its status; the disk holds all state."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from engine.errors import UserError
from engine.runs.epoch_scores import EpochScores
from engine.runs.files import (
    atomic_path,
    is_locked,
    locked,
    read_json,
    write_atomic,
    write_json,
)
from engine.runs.fit_options import FitOptions
from engine.runs.images_table import as_frame, read_images
from engine.runs.json_text import loads
from engine.runs.opening import is_file, read_file, remove_file
from engine.runs.prediction_files import load_predictions
from engine.runs.predictions import Predictions
from engine.runs.quarantine_table import as_csv, read_quarantine
from engine.runs.roots import check_readable
from engine.runs.run_about import RunAbout, read_about, title_of
from engine.runs.run_config import RunConfig, read_config, update_config
from engine.runs.run_status import RunStatus, status_of

OUT_OF_FOLD = ("folds", "triage")  # predictions of all labelled images, train and valid
DEFAULT_BOUNDS = (0.025, 0.975)  # for two classes, from the reference case
_GROUP_ROWS = 100_000
_MOST_TEXT = 2**28  # bytes of a log
_QUEUE_PATIENCE = 120  # seconds until a queued run without a process counts as lost


@dataclass(frozen=True)
class Run:
    """A run folder; every property reads from disk."""

    folder: Path

    @property
    def name(self) -> str:
        """Return the run's name, which is the name of its folder."""
        return self.folder.name

    @property
    def config(self) -> RunConfig:
        """Return the options and results of the run.

        Raises
        ------
        UserError
            If the file is missing, damaged, or written by a newer version.
        """
        return read_config(self._config_path)

    def update_config(self, **changes: Any) -> None:
        """Replace fields of the config by name, in one step."""
        update_config(self._config_path, changes)

    @property
    def about(self) -> RunAbout:
        """Return the display name and the note of the run."""
        return read_about(self.folder)

    @property
    def title(self) -> str:
        """Return the display name, else what the run is a refit or a blend of, else its name."""
        return title_of(self.config, self.about) or self.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the class names, sorted; index = column of the probabilities."""
        return self.config.class_names

    @property
    def fit_options(self) -> FitOptions:
        """Return the options of the fit that made the run.

        Raises
        ------
        UserError
            When no fit made it.
        """
        options = self.config.options
        if options is None:
            raise UserError(f"run {self.name} was not made by a fit; choose a fitted run.")
        return options

    @property
    def data_root(self) -> Path:
        """Return the folder that image paths are relative to.

        Raises
        ------
        UserError
            When the run has none, because its fit did not list its images, or it lies outside
            ``$SECONDLOOK_ROOTS``.
        """
        root = self.config.root
        if root is None:
            raise UserError(f"run {self.name} has no images: its fit ended before it listed them.")
        check_readable(Path(root))
        return Path(root)

    @property
    def damage(self) -> str | None:
        """Return the reason why the run cannot be read, None if it can."""
        try:
            _ = self.config
        except UserError as error:
            return str(error)
        return None

    @property
    def _config_path(self) -> Path:
        return self.folder / "config.json"

    @property
    def status(self) -> RunStatus:
        """Return the status, with ``state`` "lost" where its process has gone."""
        path = self.folder / "status.json"
        try:
            values = read_json(path)
            status = status_of(values)
        except UserError as error:
            return RunStatus("lost", str(error))
        except ValueError:
            return RunStatus("lost", f"{path} is damaged.")
        if status.state not in ("running", "queued") or self._alive(status):
            return status
        if read_json(path) != values:  # it was written meanwhile
            return self.status
        message = "The process ended without reporting an error."
        return replace(status, state="lost", message=message)

    def set_status(self, state: str, **values: Any) -> None:
        """Replace the status: queued, running, done, failed or cancelled, and further values."""
        write_json(
            self.folder / "status.json",
            {"state": state, "pid": os.getpid(), "updated": time.time(), **values},
        )

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the run's lock for writing; yield False if another process holds it.

        Incomplete weights files of a killed process are removed.
        """
        # Reading the status holds the lock for a moment, so wait for that.
        with locked(self.folder / ".lock", wait=2) as mine:
            if mine:
                # ours, and those of safetensors
                for pattern in (".*.safetensors.*.tmp", ".tmp??????"):
                    for left in self.folder.glob(pattern):
                        remove_file(left)
            yield mine

    @property
    def cancel_requested(self) -> bool:
        """Return whether the run has been asked to stop."""
        return is_file(self.folder / "cancel")

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the clip bounds set for this run, else the tutorial's 0.025 and 0.975."""
        return self.kept_bounds or DEFAULT_BOUNDS

    @property
    def kept_bounds(self) -> tuple[float, float] | None:
        """Return the clip bounds that were set for this run, or None if none were set."""
        try:
            kept = read_json(self.folder / "bounds.json")
            return float(kept["lower"]), float(kept["upper"])
        except (UserError, KeyError, TypeError, ValueError):
            return None

    def forget_bounds(self) -> None:
        """Remove the clip bounds of this run, so that the recommended correction applies again."""
        remove_file(self.folder / "bounds.json")

    def set_bounds(self, lower: float, upper: float) -> None:
        """Save the clip bounds of this run."""
        write_json(self.folder / "bounds.json", {"lower": lower, "upper": upper})

    @property
    def epochs(self) -> list[EpochScores]:
        """Return the lines of ``log.jsonl``, one per epoch; an incomplete last line is left out."""
        try:
            lines = read_file(self.folder / "log.jsonl", _MOST_TEXT).splitlines()
        except OSError:
            return []
        epochs: list[EpochScores] = []
        for line in lines:
            try:
                epochs.append(loads(line, strict=False))
            except ValueError:
                continue
        return [epoch for epoch in epochs if isinstance(epoch, dict)]

    def write_epochs(self, epochs: list[EpochScores]) -> None:
        """Replace ``log.jsonl``."""
        write_atomic(self.folder / "log.jsonl", "".join(json.dumps(e) + "\n" for e in epochs))

    @property
    def images(self) -> pd.DataFrame:
        """Return the images table, sorted by split and id."""
        return as_frame(read_images(self.folder / "images.parquet"))

    @property
    def quarantine(self) -> pd.DataFrame:
        """Return the quarantine: path, reason, id, split, label; all text."""
        return read_quarantine(self.folder / "quarantine.csv")

    def save_tables(self, images: pd.DataFrame, quarantine: pd.DataFrame) -> None:
        """Write the images table and the quarantine."""
        images = images.sort_values(["split", "id"], ignore_index=True)
        with atomic_path(self.folder / "images.parquet") as temporary:
            # In row groups, so that a reader of one split need not read the others.
            images.to_parquet(
                temporary, index=False, compression="zstd", row_group_size=_GROUP_ROWS
            )
        write_atomic(self.folder / "quarantine.csv", as_csv(quarantine))

    def save_quarantine_of(self, name: str, quarantine: pd.DataFrame) -> None:
        """Write which images of a table of predictions could not be read."""
        write_atomic(self._quarantine_path(name), as_csv(quarantine))

    def quarantine_of(self, name: str) -> pd.DataFrame:
        """Return which images of a table of predictions could not be read, as `quarantine`."""
        if name == "test" or not is_file(self._quarantine_path(name)):
            table = self.quarantine
            return table[table["split"] == "test"] if name == "test" else table.iloc[:0]
        return read_quarantine(self._quarantine_path(name))

    def _quarantine_path(self, name: str) -> Path:
        return self.folder / "predictions" / f"{name}-quarantine.csv"

    def predictions_path(self, split: str) -> Path:
        """Return the path of the predictions of a split (valid, folds, test)."""
        return self.folder / "predictions" / f"{split}.parquet"

    @property
    def labelled_split(self) -> str:
        """Return "folds" if all labelled images have out-of-fold predictions, else "valid"."""
        return "folds" if is_file(self.predictions_path("folds")) else "valid"

    def predictions(self, split: str = "valid") -> Predictions:
        """Load the predictions of a split.

        Raises
        ------
        UserError
            If there are none, or the file is damaged.
        """
        path = self.predictions_path(split)
        if not is_file(path):
            kind = "validation" if split == "valid" else split
            raise UserError(f"run {self.name} has no {kind} predictions ({path} does not exist).")
        return load_predictions(path)

    def _alive(self, status: RunStatus) -> bool:
        held = is_locked(self.folder / ".lock")
        if held is not False:  # where it cannot be told, what the status says is believed
            return True
        fresh = abs(time.time() - status.updated) < _QUEUE_PATIENCE
        return status.state == "queued" and fresh
