"""The coordinates of a run's images on its maps, and the images within an area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.selection.lasso import EDGE, GRID, Lasso
from dashboard.shared.cache import cached
from engine.analysis.lasso import inside
from engine.errors import UserError
from engine.runs.maps import load_map, map_path
from engine.runs.run import OUT_OF_FOLD
from engine.runs.run_list import open_run

SPLITS = ("train", "valid", "test")
Key = tuple[str, str, int]  # run, method, time of the file


@dataclass(frozen=True, eq=False)
class MapCoordinates:
    """The coordinates of a map in the order of its file; arrays are read-only.

    Attributes
    ----------
    key : key of the caches
    ids : pyarrow string array of shape (n,)
    split : int8 array of shape (n,), index in ``SPLITS``
    xy : float64 array of shape (n, 2), from ``EDGE`` to ``GRID - EDGE``, so that an area can
        surround all images; y upwards, both axes on one scale
    """

    key: Key
    ids: pa.StringArray
    split: np.ndarray
    xy: np.ndarray


def map_coordinates(name: str, method: str) -> MapCoordinates:
    """Return a map of a run.

    Raises
    ------
    UserError
        If there is no map, or it is damaged.
    """
    run = open_run(name)
    path = map_path(run, method)
    try:
        return _map_coordinates((run.name, method, path.stat().st_mtime_ns))
    except OSError:
        load_map(run, method)  # raises a specific error
        raise


def within(name: str, split: str, ids: pa.StringArray, area: Lasso) -> np.ndarray:
    """Return which images of a table of predictions lie within an area, bool of shape (n,).

    ``split`` names the table: "folds" contains images of train and valid.
    """
    found = map_coordinates(name, area.method)
    hit = inside(found.xy, np.array(area.corners, dtype=np.float64))
    if split in SPLITS:
        hit &= found.split == SPLITS.index(split)
    elif split in OUT_OF_FOLD:
        hit &= found.split != SPLITS.index("test")
    else:
        raise UserError(f"no map shows the images of the split {split}; choose another split.")
    chosen = found.ids.filter(pa.array(hit))
    return np.asarray(pc.is_in(ids, value_set=chosen), dtype=bool)


@cached(8)
def _map_coordinates(key: Key) -> MapCoordinates:
    table = load_map(open_run(key[0]), key[1])
    split = pc.index_in(table["split"], pa.array(SPLITS)).combine_chunks()
    points = np.column_stack([np.asarray(table[axis], dtype=np.float64) for axis in ("x", "y")])
    if len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        reach = float((high - low).max()) or 1.0
        points = (points - (low + high) / 2) * ((GRID - 2 * EDGE) / reach) + GRID / 2
    codes = np.asarray(pc.fill_null(split, SPLITS.index("test")), dtype=np.int8)
    for array in (points, codes):
        array.setflags(write=False)
    return MapCoordinates(key, table["id"].combine_chunks(), codes, points)
