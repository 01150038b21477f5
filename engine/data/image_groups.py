"""Which images of a run are not independent: those of one given group, and copies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.sealing import SEALED
from engine.data.splits import components
from engine.errors import UserError
from engine.runs.images_table import read_images
from engine.runs.predictions import Predictions
from engine.runs.run import Run
from engine.runs.sealed_images import sealed_file

_SPLITS = {"folds": ("train", "valid"), "valid": ("valid",), "test": ("test",), SEALED: (SEALED,)}


def image_groups(run: Run, split: str, predictions: Predictions) -> np.ndarray | None:
    """Return the group of each predicted image, None where each image is a group of its own.

    Images belong together that have the same group (``fit --group``) or the same bytes.

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
    if not _has_copies(images["sha256"]) and images["group"].null_count == len(images):
        return None
    at = np.asarray(pc.fill_null(pc.index_in(predictions.ids, images["id"]), -1))
    known = np.flatnonzero(at >= 0)
    # Numbers instead of texts: a million checksums as Python objects take 0.1 GB.
    codes = {name: _codes(images[name])[at[known]] for name in ("sha256", "group")}
    groups = np.arange(len(predictions))
    groups[known] = len(predictions) + components(pd.DataFrame(codes))
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return groups if int(groups.max(initial=-1)) + 1 < len(groups) else None


def _listed(run: Run, split: str) -> pa.Table | None:
    """Return id, sha256 (the id where unknown) and group of the images of a split."""
    if split not in _SPLITS:
        return None
    file = sealed_file(run) if split == SEALED else run.folder / "images.parquet"
    try:
        images = read_images(file, ["id", "split", "sha256", "group"], splits=_SPLITS[split])
    except UserError:
        return None
    id, group, sha256 = (images[name].cast(pa.string()) for name in ("id", "group", "sha256"))
    if _has_copies(id):
        return None
    unknown = pc.binary_join_element_wise("id ", id, "")
    return pa.table({"id": id, "group": group, "sha256": pc.coalesce(sha256, unknown)})


def _has_copies(texts: pa.ChunkedArray) -> bool:
    return bool(pc.count_distinct(texts, mode="all").as_py() < len(texts))


def _codes(texts: pa.ChunkedArray) -> np.ndarray:
    """Return a number for each different text, NaN where there is none, float64 (n,)."""
    encoded = texts.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.cast(pa.float64()).to_numpy(zero_copy_only=False))
