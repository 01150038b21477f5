"""Which images of a run are not independent: those of one given group, and copies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.data.sealing import SEALED
from engine.data.splits import components
from engine.errors import UserError
from engine.runs.predictions import Predictions
from engine.runs.run import Run
from engine.runs.sealed_images import sealed_images

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
    if images is None or not (images["sha256"].duplicated().any() or images["group"].notna().any()):
        return None
    at = pd.Index(images["id"]).get_indexer(pd.Index(predictions.ids.to_pylist()))
    known = np.flatnonzero(at >= 0)
    groups = np.arange(len(predictions))
    groups[known] = len(predictions) + components(images.iloc[at[known]].reset_index(drop=True))
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return groups if int(groups.max(initial=-1)) + 1 < len(groups) else None


def _listed(run: Run, split: str) -> pd.DataFrame | None:
    """Return id, sha256 (the id where unknown) and group of the images of a split."""
    try:
        images = sealed_images(run) if split == SEALED else run.images
    except UserError:
        return None
    if split not in _SPLITS or not {"id", "split", "sha256", "group"} <= set(images.columns):
        return None
    images = images[images["split"].isin(_SPLITS[split])].reset_index(drop=True)
    if images["id"].duplicated().any():
        return None
    sha256 = images["sha256"].where(images["sha256"].notna(), "id " + images["id"])
    return images[["id", "group"]].assign(sha256=sha256)
