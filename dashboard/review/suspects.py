"""Caches a run's suspected labels, the result of `triage`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Table
from engine.analysis.suspect_ranking import DUPLICATE, KINDS, LABEL, LEAK, ODD
from engine.runs.run_list import open_run
from engine.runs.triage import load_triage, triage_path

NEVER: Stamp = (0, 0)
KIND_NAMES = {
    LABEL: "Wrong label?",
    ODD: "Both or neither?",
    DUPLICATE: "Same image, other label",
    LEAK: "Leak",
}


def triage_stamp(name: str) -> Stamp:
    """Return a value that changes when the list of suspects changes, ``NEVER`` without a list."""
    return stamp_of(triage_path(open_run(name)))


def reasons(name: str) -> dict[str, list[str]]:
    """Return the reasons why images of a run are suspected, by id."""
    return _reasons(name, triage_stamp(name))


def kind_counts(name: str) -> dict[str, int]:
    """Return how many images of a run are suspected of each kind, without those of none."""
    stamp = triage_stamp(name)
    if stamp == NEVER:
        return {}
    found = triage_table(name, stamp).drop_duplicates(["id", "kind"])["kind"].value_counts()
    return {kind: int(found[kind]) for kind in KINDS if kind in found}


def of_kind(table: Table, kind: str) -> np.ndarray:
    """Return which labelled images are suspected of a kind, bool of shape (n,)."""
    name, stamp = table.key[0], triage_stamp(table.key[0])
    if stamp == NEVER or table.key[1] == "test":
        return np.zeros(len(table), dtype=bool)
    found = triage_table(name, stamp)
    ids = pa.array(found.loc[found["kind"] == kind, "id"].astype(str), pa.string())
    return np.asarray(pc.is_in(table.predictions.ids.cast(pa.string()), ids), dtype=bool)


@cached(8)
def triage_table(name: str, stamp: Stamp) -> pd.DataFrame:
    """Return the suspects of a run; ``stamp`` is its `triage_stamp`."""
    return load_triage(open_run(name))


@cached(8)
def _reasons(name: str, stamp: Stamp) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if stamp != NEVER:
        table = triage_table(name, stamp)
        for id, reason in zip(table["id"], table["reason"], strict=True):
            found.setdefault(str(id), []).append(str(reason))
    return found
