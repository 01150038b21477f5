"""The cache of data folders looked at on the Train page, and what is told about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from engine.data.dataset import Dataset, duplicates, load_dataset, stratified
from engine.data.layouts import find_pictures
from engine.errors import Refused
from engine.runs.files import workspace
from engine.runs.run import list_runs

KEPT = 4
RECENT = 5


@dataclass(frozen=True, eq=False)
class Looked:
    """A data folder as it was found.

    Attributes
    ----------
    dataset : with the usual split
    valid_given : whether the data has valid pictures of its own
    repeated : byte-identical pictures in two splits or under two labels
    """

    dataset: Dataset
    valid_given: bool
    repeated: list[dict[str, object]]


def look_at(data: Path, progress: Callable[[str, int, int], None]) -> Looked:
    """Return what a data folder holds; read once while its folders' times stay the same.

    Raises
    ------
    Refused
        When there is nothing to fit.
    """
    key, kept = (data, _changed(data)), _kept()
    if key not in kept:
        given = bool((find_pictures(data).pictures["split"] == "valid").any())
        dataset = load_dataset(data, progress=progress)
        kept[key] = Looked(dataset, given, duplicates(dataset.images))
        for old in list(kept)[:-KEPT]:
            del kept[old]
    return kept[key]


def counts(looked: Looked, valid: int | None) -> pd.DataFrame:
    """Count pictures by class (index) and split (columns), with ``valid`` held out."""
    images = looked.dataset.images
    split = images["split"]
    labelled = images[split != "test"]
    if valid is not None and not looked.valid_given and 0 < valid < len(labelled):
        held_out = stratified(labelled, valid, 0)
        split = split.where(split == "test", "train")
        split = split.where(~images.index.isin(held_out), "valid")
    label = images["label"].fillna("")
    table = pd.crosstab(label.mask(split == "test", ""), split)
    table = table.reindex(columns=["train", "valid", "test"], fill_value=0)
    return table.reindex(list(looked.dataset.class_names), fill_value=0)


def samples(looked: Looked, n: int) -> pd.DataFrame:
    """Choose labelled pictures to look at, the classes in turn, the same every time."""
    images = looked.dataset.images
    labelled = images[images["split"] != "test"].sort_values("id")
    shuffled = labelled.iloc[np.random.default_rng(0).permutation(len(labelled))]
    turn = shuffled.groupby("label").cumcount()
    return shuffled.assign(turn=turn).sort_values(["turn", "label"], kind="stable").head(n)


def recent_folders() -> list[str]:
    """Return the data folders of the newest runs that still exist, and the demo."""
    found: list[str] = []
    for run in list_runs()[:50]:
        try:
            data = run.config.get("data")
        except Refused:
            continue
        if isinstance(data, str) and data not in found and Path(data).exists():
            found.append(data)
    demo = str(workspace() / "demo")
    if demo not in found and (workspace() / "demo" / "train").is_dir():
        found.append(demo)
    return found[:RECENT]


def _changed(data: Path) -> int:
    """Return the newest time among the folder, its folders and theirs, in nanoseconds."""
    try:
        below = [path for path in data.glob("*") if path.is_dir()] if data.is_dir() else []
        below += [path for folder in list(below) for path in folder.glob("*/")][:2000]
        return max(path.stat().st_mtime_ns for path in (data, *below))
    except OSError:
        return 0


@st.cache_resource
def _kept() -> dict[tuple[Path, int], Looked]:
    return {}
