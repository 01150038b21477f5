"""Groups of images that are not independent: given groups, and near-duplicates."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.connected import connected
from engine.data.sealing import SEALED
from engine.errors import UserError
from engine.runs.images_table import read_images
from engine.runs.predictions import Predictions
from engine.runs.run import Run
from engine.runs.sealed_images import sealed_file

NEAR = "near_duplicate"
_SPLITS = {"folds": ("train", "valid"), "valid": ("valid",), "test": ("test",), SEALED: (SEALED,)}


def image_groups(run: Run, split: str, predictions: Predictions) -> np.ndarray | None:
    """Return the group of each predicted image, None where each image is a group of its own.

    Images belong together that have the same group (``fit --group``) or the same bytes, or that
    the fit found to be nearly identical.

    Parameters
    ----------
    split : name of the table of predictions
    predictions : the table

    Returns
    -------
    int64 array of shape (n,), numbered from 0, or None
    """
    images = _listed(run, split)
    if images is None:
        return None
    given = [name for name in ("group", NEAR) if images[name].null_count < len(images)]
    if not given and not _has_copies(images["sha256"]):
        return None
    at = np.asarray(pc.fill_null(pc.index_in(predictions.ids, images["id"]), -1))
    known = np.flatnonzero(at >= 0)
    # Numbers instead of texts: a million checksums as Python objects take 0.1 GB.
    keys = [_codes(images[name])[at[known]] for name in ("sha256", "group", NEAR)]
    alone = -1 - np.arange(len(known))
    keys = [np.where(key < 0, alone, key) for key in keys]
    groups = np.arange(len(predictions))
    groups[known] = len(predictions) + connected(keys, len(known))
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return groups if int(groups.max(initial=-1)) + 1 < len(groups) else None


def _listed(run: Run, split: str) -> pa.Table | None:
    """Return id, sha256 (the id where unknown), group and near-duplicates of a split's images."""
    if split not in _SPLITS:
        return None
    file = sealed_file(run) if split == SEALED else run.folder / "images.parquet"
    try:
        columns = ["id", "split", "sha256", "group"]
        images = read_images(file, columns, [NEAR], splits=_SPLITS[split])
    except UserError:
        return None
    if NEAR not in images.column_names:  # of a run of an earlier version
        images = images.append_column(NEAR, pa.nulls(len(images), pa.string()))
    id, group, sha256, near = (
        images[name].cast(pa.string()) for name in ("id", "group", "sha256", NEAR)
    )
    if _has_copies(id):
        return None
    unknown = pc.binary_join_element_wise("id ", id, "")
    sha256 = pc.coalesce(sha256, unknown)
    return pa.table({"id": id, "group": group, "sha256": sha256, NEAR: near})


def _has_copies(texts: pa.ChunkedArray) -> bool:
    return bool(pc.count_distinct(texts, mode="all").as_py() < len(texts))


def _codes(texts: pa.ChunkedArray) -> np.ndarray:
    """Return a number for each different text, -1 where there is none, int64 (n,)."""
    encoded = texts.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).cast(pa.int64()))
