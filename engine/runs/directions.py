"""Stores where each image of a run lies along the main directions of the features.

Images that lie close together look alike to the network. The file is small beside the features,
and it can be read without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import UserError
from engine.runs.files import atomic_path
from engine.runs.opening import is_file
from engine.runs.parquet_files import open_parquet
from engine.runs.run import Run

DIRECTIONS = 128


@dataclass(frozen=True, eq=False)
class Directions:
    """The images of a run and their positions along the main directions.

    Attributes
    ----------
    split, id : text of shape (n,)
    positions : float32 array of shape (n, directions)
    """

    split: pa.StringArray
    id: pa.StringArray
    positions: np.ndarray


def directions_path(run: Run) -> Path:
    """Return the path of the file."""
    return run.folder / "directions.parquet"


def has_directions(run: Run) -> bool:
    """Return whether the file exists."""
    return is_file(directions_path(run))


def save_directions(
    run: Run, splits: Sequence[str], ids: Sequence[str], positions: np.ndarray
) -> None:
    """Write the positions, float array of shape (n, directions), in half precision."""
    halves = np.ascontiguousarray(positions, dtype="<f2")
    width = halves.shape[1] * halves.itemsize
    rows = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(halves), [None, pa.py_buffer(halves.tobytes())]
    )
    columns = {"split": pa.array(splits, pa.string()), "id": pa.array(ids, pa.string())}
    with atomic_path(directions_path(run)) as temporary:
        pq.write_table(pa.table({**columns, "position": rows}), temporary, compression="zstd")


def load_directions(run: Run) -> Directions:
    """Read the positions.

    Raises
    ------
    UserError
        If there is no file, or it is damaged.
    """
    path = directions_path(run)
    try:
        with open_parquet(path) as file:
            table = pq.read_table(file, columns=["split", "id", "position"]).combine_chunks()
        table.validate(full=True)  # that texts are UTF-8
        split, id = (table[name].cast(pa.string()).combine_chunks() for name in ("split", "id"))
        column = table["position"].combine_chunks()
        width = column.type.byte_width // 2
        content = column.buffers()[1]
        halves = np.frombuffer(content, "<f2")[column.offset * width :][: len(column) * width]
        positions = halves.reshape(len(column), width).astype(np.float32)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist; `second-look embed {run.name}` makes it."
        ) from error
    except (OSError, KeyError, ValueError, AttributeError, TypeError, pa.ArrowException) as error:
        raise UserError(f"{path} is damaged; `second-look embed {run.name}` makes it.") from error
    if column.null_count or not np.isfinite(positions).all():
        raise UserError(f"{path} is damaged; `second-look embed {run.name}` makes it.")
    return Directions(split, id, positions)
