"""Data of the Map page: position, class, correctness and loss of each image, in binary form."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.gallery.tiles import images_of
from dashboard.selection.lasso import GRID
from dashboard.selection.map_coordinates import SPLITS, MapCoordinates, map_coordinates
from dashboard.shared import browser_sync, thumbnails
from dashboard.shared import tables as shared_tables
from dashboard.shared.cache import cached
from dashboard.shared.paging import page_of
from dashboard.shared.tables import Table
from dashboard.shared.thumbnails import ImageFile
from engine.runs.images_table import read_images
from engine.runs.opening import is_file
from engine.runs.run_list import open_run

NONE = 0xFFFF  # no label or no prediction
DRAWN = 50_000  # maximum number of points that a browser draws quickly
_SEPARATOR = "\x1f"


@dataclass(frozen=True, eq=False)
class Points:
    """The images of a map, or a sample of very many; arrays are read-only.

    Attributes
    ----------
    coordinates : positions of the images
    label, predicted : uint16 arrays of shape (n,), class indices, ``NONE`` for none
    loss : float32 array of shape (n,), nan for none
    facts : path and sha256 of each image, null if unknown
    packed : the data for the browser
    total : number of images on the map
    """

    coordinates: MapCoordinates
    label: np.ndarray
    predicted: np.ndarray
    loss: np.ndarray
    facts: pa.Table
    packed: dict[str, Any]
    total: int

    def image(self, name: str, row: int) -> ImageFile | None:
        """Return the file of the image in a row, or None if the run has not read it."""
        fact = self.facts.slice(row, 1).to_pylist()[0]
        if not fact["path"] or not fact["sha256"]:
            return None
        return ImageFile(open_run(name).data_root / fact["path"], fact["sha256"])


def points(name: str, method: str) -> Points:
    """Return the points of a run's map.

    Raises
    ------
    UserError
        If there is no map, or a file is damaged.
    """
    run = open_run(name)
    split = run.labelled_split
    tables = [shared_tables.table(name, each).key for each in (split, "test") if _there(name, each)]
    return _points(map_coordinates(name, method).key, tuple(tables))


def large_of(name: str, points: Points, row: int) -> dict[str, Any]:
    """Return the viewer's data for an image of which the run has no prediction."""
    file, label = points.image(name, row), int(points.label[row])
    fact = points.facts.slice(row, 1).to_pylist()[0]
    split = SPLITS[points.coordinates.split[row]]
    labelled = "" if label == NONE else f", labelled {open_run(name).class_names[label]}"
    reason = "The model was trained on this image; --folds predicts it with another model."
    return {
        "id": points.coordinates.ids[row].as_py(),
        "src": thumbnails.large(file) if file else "",
        "where": "",
        "outcome": "unlabelled",
        "title": f"{split.capitalize()} image{labelled}",
        "path": fact["path"] or "",
        "size": "",
        "pixels": None,
        "original": "",
        "other": None,
        "loss": f"No prediction. {reason if split == 'train' else ''}",
        "bars": [],
        "review": None,
        "lastMessage": browser_sync.last_message(),
        "explainable": False,
        "before": None,
        "after": None,
    }


def first_page(table: Table, rows: np.ndarray) -> list[ImageFile]:
    """Return the images that the Errors page shows first for these rows."""
    return images_of(table, page_of(rows, 1))


@cached(4)
def _points(key: tuple[str, str, int], tables: tuple[shared_tables.Key, ...]) -> Points:
    run, every = open_run(key[0]), map_coordinates(key[0], key[1])
    found = _sample(every)
    facts, names = _facts(key[0], found), run.class_names
    n = len(found.ids)
    label = pc.index_in(facts["label"], pa.array(names, pa.string()))
    labels = np.asarray(pc.fill_null(label, NONE), dtype=np.uint16)
    predicted = np.full(n, NONE, dtype=np.uint16)
    loss = np.full(n, np.nan, dtype=np.float32)
    for table in (shared_tables.cached_table(each) for each in tables):
        rows, at = _rows_in(found, table)
        predicted[rows], loss[rows] = table.y_pred[at], table.loss[at]
    for array in (labels, predicted, loss):
        array.setflags(write=False)
    packed = {
        "tag": f"{key}{tables}",
        "n": n,
        "names": list(names),
        "splits": list(SPLITS),
        "xy": _text(np.clip(found.xy, 0, GRID).round().astype("<u2")),
        "split": _text(found.split.astype("u1")),
        "label": _text(labels.astype("<u2")),
        "predicted": _text(predicted.astype("<u2")),
        "loss": _text(loss.astype("<f4")),
        "ids": _SEPARATOR.join(name.replace(_SEPARATOR, " ") for name in found.ids.to_pylist()),
    }
    shown = facts.select(["path", "sha256"])
    return Points(found, labels, predicted, loss, shown, packed, len(every.ids))


def _sample(every: MapCoordinates) -> MapCoordinates:
    """Return all positions, or a random sample of ``DRAWN`` of them."""
    n = len(every.ids)
    if n <= DRAWN:
        return every
    rows = np.sort(np.random.default_rng(0).choice(n, DRAWN, replace=False))
    return MapCoordinates(
        every.key, every.ids.take(pa.array(rows)), every.split[rows], every.xy[rows]
    )


def _rows_in(found: MapCoordinates, table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the map's rows that have a prediction in the table, and those predictions' rows."""
    at = pc.index_in(found.ids, value_set=table.predictions.ids)
    known = np.asarray(pc.is_valid(at), dtype=bool)
    is_test = found.split == SPLITS.index("test")
    is_valid = found.split == SPLITS.index("valid")
    known &= {"test": is_test, "valid": is_valid}.get(table.key[1], ~is_test)
    rows = np.flatnonzero(known)
    return rows, np.asarray(at.filter(pa.array(known)), dtype=np.int64)


def _facts(name: str, found: MapCoordinates) -> pa.Table:
    """Return label, path and sha256 of each image of a map, in its order."""
    path = open_run(name).folder / "images.parquet"
    images = read_images(path, ["split", "id", "label", "path", "sha256"])
    images = images.combine_chunks()
    split = pc.index_in(images["split"], pa.array(SPLITS))
    known = np.full(len(found.ids), -1, dtype=np.int64)
    for code in range(len(SPLITS)):  # an id may occur in two splits
        rows = np.flatnonzero(np.asarray(pc.equal(split, code).fill_null(False), dtype=bool))
        mine = np.flatnonzero(found.split == code)
        at = pc.index_in(found.ids.take(pa.array(mine)), images["id"].take(pa.array(rows)))
        there = np.asarray(pc.is_valid(at), dtype=bool)
        known[mine[there]] = rows[np.asarray(at.drop_null(), dtype=np.int64)]
    return images.take(pa.array(known, mask=known < 0))


def _there(name: str, split: str) -> bool:
    return is_file(open_run(name).predictions_path(split))


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
