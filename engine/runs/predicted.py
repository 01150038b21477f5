"""The tables that `predict` adds to a run: their names, and how one of them is chosen."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import UserError, first_ten
from engine.runs.files import locked
from engine.runs.opening import is_file
from engine.runs.run import OUT_OF_FOLD, Run

OWN = ("valid", "test", "sealed", *OUT_OF_FOLD)  # the run's own tables
_READABLE, _DIGITS = 40, 8


@dataclass(frozen=True)
class PredictedTable:
    """Predictions of the images of a folder that is not the run's.

    Attributes
    ----------
    name : of the table in the run, without a suffix
    folder : the folder or file with the images, '' if unknown
    n : number of images
    time : UTC, like 2026-03-01T12:30:07Z
    """

    name: str
    folder: str
    n: int
    time: str

    @property
    def line(self) -> str:
        """Return name, number of images, folder and time as one line of text."""
        where = f" of {self.folder}" if self.folder else ""
        return f"{self.name}: {self.n:,} images{where}, {self.time[:16].replace('T', ' ')}"


def table_name(data: Path, images: Iterable[Sequence[object]]) -> str:
    """Return the name of the table for the images of a folder.

    It ends in a checksum of the folder's path and of the images. So two folders with the same name,
    or a folder whose images have changed, have different tables.

    Parameters
    ----------
    images
        One row per image with what identifies it, such as id, checksum and label.
    """
    path = os.path.abspath(data)
    rows = sorted(repr(tuple(row)) for row in images)
    digest = hashlib.sha256("\0".join([path, *rows]).encode("utf-8", "surrogatepass"))
    readable = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(path).name)
    return f"{readable[:_READABLE] or 'data'}-{digest.hexdigest()[:_DIGITS]}"


def predicted_tables(run: Run) -> list[PredictedTable]:
    """Return the tables that `predict` made of other folders' images, sorted by name."""
    folders = run.config.predicted
    found = []
    for path in sorted((run.folder / "predictions").glob("*.parquet")):
        if path.stem in OWN:
            continue
        try:
            n, changed = pq.read_metadata(path).num_rows, path.stat().st_mtime
        except (OSError, pa.ArrowException):
            continue
        time = f"{datetime.fromtimestamp(changed, UTC):%Y-%m-%dT%H:%M:%SZ}"
        found.append(PredictedTable(path.stem, folders.get(path.stem, ""), n, time))
    return found


def note_predicted(run: Run, name: str, data: Path) -> None:
    """Record in the run's config from which folder a table was made."""
    with locked(run.folder / "predictions" / ".lock"):
        run.update_config(predicted={**run.config.predicted, name: os.path.abspath(data)})


def chosen_table(run: Run, name: str | None = None) -> str:
    """Return the predictions to submit: the run's test images, or a `predict` table.

    Parameters
    ----------
    name
        "test", the name of a table, or the name or path of a folder that only one table was made
        of. None means the test images, or the only table of a run without test images.

    Raises
    ------
    UserError
        When there is no such table, or more than one.
    """
    made = predicted_tables(run)
    names = [table.name for table in made]
    if name is None:
        if is_file(run.predictions_path("test")) or not made:
            return "test"
        if len(made) > 1:
            raise UserError(
                f"run {run.name} has no test images of its own, and `predict` made the tables "
                f"{first_ten(names)}; choose one with --predictions."
            )
        return names[0]
    if name in ("test", *names):
        return name
    fitting = [table.name for table in made if table.folder and _is_folder(table.folder, name)]
    if len(fitting) == 1:
        return fitting[0]
    what = (
        f"fits several tables of run {run.name}; choose one of {first_ten(fitting)}"
        if fitting
        else f"is not a table of run {run.name}, which has {first_ten(['test', *names])}"
    )
    raise UserError(f"{what}.", option="predictions", value=name)


def _is_folder(folder: str, name: str) -> bool:
    return name == Path(folder).name or os.path.abspath(name) == folder
