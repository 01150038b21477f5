"""Stores a run's maps, two coordinates per image, and starts the process that makes them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import UserError
from engine.runs.background import start_command
from engine.runs.files import atomic_path, is_locked, locked, read_json, write_json
from engine.runs.opening import is_file, is_folder, remove_file
from engine.runs.parquet_files import open_parquet
from engine.runs.run import Run

METHODS = ("pca", "tsne")
_COLUMNS = pa.schema(
    [("split", pa.string()), ("id", pa.string()), ("x", pa.float32()), ("y", pa.float32())]
)
_PATIENCE = 60.0  # seconds until a started process without a lock counts as lost


@dataclass(frozen=True)
class MapProgress:
    """Progress of a map.

    Attributes
    ----------
    state : none, running, done or failed
    stage : "features" or "tsne" while it is running, '' before
    done, total : images of the stage, 0 if unknown
    message : the reason of a failure
    """

    state: str
    stage: str = ""
    done: int = 0
    total: int = 0
    message: str = ""


def map_path(run: Run, method: str) -> Path:
    """Return the path of a map with the columns split, id, x, y (float32)."""
    if method not in METHODS:
        raise UserError(
            f"is unknown; choose {' or '.join(METHODS)}.", option="method", value=method
        )
    return run.folder / f"map-{method}.parquet"


def save_map(
    run: Run, method: str, splits: Sequence[str], ids: Sequence[str], points: np.ndarray
) -> Path:
    """Write a map; ``points`` is float32 of shape (n, 2).

    Parameters
    ----------
    method : pca or tsne
    splits, ids : of each image
    """
    columns = {
        "split": pa.array(splits, pa.string()),
        "id": pa.array(ids, pa.string()),
        "x": pa.array(np.ascontiguousarray(points[:, 0], dtype=np.float32)),
        "y": pa.array(np.ascontiguousarray(points[:, 1], dtype=np.float32)),
    }
    path = map_path(run, method)
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")
    remove_file(_status(run, method))
    return path


def load_map(run: Run, method: str) -> pa.Table:
    """Read a map: split, id, x, y.

    Raises
    ------
    UserError
        If there is no map, or the file is damaged.
    """
    path = map_path(run, method)
    try:
        with open_parquet(path) as file:
            table = pq.read_table(file, columns=_COLUMNS.names).cast(_COLUMNS).combine_chunks()
        table.validate(full=True)  # that texts are UTF-8
        points = [np.asarray(table[name]) for name in ("x", "y")]
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist; `second-look embed {run.name}` makes it (method {method})."
        ) from error
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path} is damaged; delete it to make the map again.") from error
    if not all(np.isfinite(values).all() for values in points):
        raise UserError(f"{path} is damaged; delete it to make the map again.")
    return table


def map_progress(run: Run, method: str) -> MapProgress:
    """Return the progress of a map, even if its status file is incomplete."""
    return MapProgress("done") if is_file(map_path(run, method)) else making_progress(run, method)


def making_progress(run: Run, method: str) -> MapProgress:
    """Return the progress of a map that is being made, also where there is an earlier one.

    The state is none where no map is being made and none failed.
    """
    try:
        status = read_json(_status(run, method))
    except UserError:
        return MapProgress("none")
    if message := status.get("message"):
        return MapProgress("failed", message=str(message))
    numbers = [status.get(key) for key in ("done", "total")]
    done, total = (n if isinstance(n, int) else 0 for n in numbers)
    held = is_locked(_lock(run, method))
    started = status.get("started")
    fresh = isinstance(started, float) and time.time() - started < _PATIENCE
    if held is False and not fresh:
        return MapProgress("failed", message="The process ended without reporting an error.")
    return MapProgress("running", str(status.get("stage") or ""), done, total)


@contextmanager
def making(run: Run, method: str) -> Iterator[bool]:
    """Hold a map's lock and record a failure; yield False if another process holds it."""
    with locked(_lock(run, method), wait=False) as mine:
        try:
            yield mine
        except Exception as error:
            if mine:
                write_json(_status(run, method), {"message": str(error) or type(error).__name__})
            raise


def write_progress(run: Run, method: str, stage: str, done: int, total: int) -> None:
    """Write the progress of a map to its status file."""
    write_json(_status(run, method), {"stage": stage, "done": done, "total": total})


def start_map(run: Run, method: str, arguments: Sequence[str], *, again: bool = False) -> None:
    """Start the command that makes a map unless it exists or is being made; return immediately.

    Parameters
    ----------
    arguments : arguments of ``python -m engine``
    again : whether to start it also where the map exists, because its features are missing

    Raises
    ------
    UserError
        If the child process cannot be started.
    """
    progress = making_progress if again else map_progress
    if progress(run, method).state in ("running", "done"):
        return
    write_json(_status(run, method), {"started": time.time()})
    try:
        start_command(arguments, lambda code: _ended(run, method, code))
    except OSError as error:
        message = f"the map could not be started ({error})."
        write_json(_status(run, method), {"message": message})
        raise UserError(f"{run.name}: {message}") from error


def _ended(run: Run, method: str, code: int) -> None:
    # For a process that could not report its failure; a deleted run is not created again.
    if code and is_folder(run.folder) and making_progress(run, method).state == "running":
        message = f"The process ended with exit code {code}."
        write_json(_status(run, method), {"message": message})


def _status(run: Run, method: str) -> Path:
    return run.folder / f"map-{method}.json"


def _lock(run: Run, method: str) -> Path:
    return run.folder / f".map-{method}.lock"
