"""Several runs' predictions of the same images, brought together by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import UserError
from engine.runs.predictions import UNKNOWN, Predictions


@dataclass(frozen=True, eq=False)
class Joined:
    """Several runs' predictions of the same images, with the same image in each row.

    Attributes
    ----------
    tables : one table per run, all with the same ids, labels and classes
    left_out : number of images that cannot be compared, by reason
    """

    tables: tuple[Predictions, ...]
    left_out: dict[str, int]


def join(tables: Sequence[Predictions], contents: Sequence[np.ndarray] = ()) -> Joined:
    """Keep the images that every run predicted, by id, with the same content and label.

    Parameters
    ----------
    contents : the checksum of each row's image, one array per table; "" is unknown and matches all

    Raises
    ------
    UserError
        When the runs differ in their classes, or no image is left.
    """
    first, *others = tables
    for other in others:
        if other.class_names != first.class_names:
            raise UserError(
                f"the runs have different classes ({_few(first.class_names)} and "
                f"{_few(other.class_names)}); choose runs of the same data set."
            )
    shared = np.ones(len(first), dtype=bool)
    places = []
    for other in others:
        at = positions_in(first.ids, other.ids)
        places.append(at)
        shared &= at >= 0
    alike = shared.copy()
    for at, known in zip(places, contents[1:], strict=False):
        there = np.where(at >= 0, known[at] if len(known) else "", "")
        alike &= (there == contents[0]) | (there == "") | (contents[0] == "")
    same = alike.copy()
    for other, at in zip(others, places, strict=True):
        same &= np.where(at >= 0, other.y_true[at] if len(other) else UNKNOWN, -2) == first.y_true
    kept = same & (first.y_true != UNKNOWN)
    n_shared = int(shared.sum())
    left_out = {
        "not predicted by every run": sum(len(table) - n_shared for table in tables),
        "other images under the same id": int((shared & ~alike).sum()),
        "labelled differently": int((alike & ~same).sum()),
        "without a label": int((same & ~kept).sum()),
    }
    if not kept.any():
        raise UserError(
            "no labelled image was predicted by all of these runs; choose runs of the same data "
            "set that hold out the same images (the same --seed and --valid, or --folds)."
        )
    rows = [np.flatnonzero(kept), *(at[kept] for at in places)]  # ascending, as ids are sorted
    parts = tuple(
        table if len(at) == len(table) else table.take(at)
        for table, at in zip(tables, rows, strict=True)
    )
    return Joined(parts, {reason: count for reason, count in left_out.items() if count})


def positions_in(ids: pa.StringArray, others: pa.StringArray) -> np.ndarray:
    """Return the position of each id in ``others``, -1 if absent, int64 array of shape (n,)."""
    if ids.equals(others):  # as it is in runs that hold out the same; looking up takes far longer
        return np.arange(len(ids))
    return np.asarray(pc.fill_null(pc.index_in(ids, others), -1), dtype=np.int64)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more"
