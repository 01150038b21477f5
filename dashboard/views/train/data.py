"""Reads and caches previews of data folders for the Train page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from engine.competition.inspection import Inspection, inspection
from engine.data.dataset import Dataset, duplicates, load_dataset
from engine.data.layouts import DataSource, find_images
from engine.data.splits import divided
from engine.errors import UserError
from engine.runs.files import workspace
from engine.runs.fit_options import FitOptions
from engine.runs.roots import check_readable
from engine.runs.run_list import list_runs

KEPT = 4
RECENT = 5


@dataclass(frozen=True, eq=False)
class DatasetPreview:
    """The content of a data folder.

    Attributes
    ----------
    dataset : the data set with the default split
    found : the result of `inspect`
    valid_given : whether the data contains validation images
    repeated : byte-identical images in two splits or with two labels
    """

    dataset: Dataset
    found: Inspection
    valid_given: bool
    repeated: list[dict[str, object]]


def preview_of(options: FitOptions, progress: Callable[[str, int, int], None]) -> DatasetPreview:
    """Return the content of a data folder, cached until one of its folders changes.

    Parameters
    ----------
    options : options of the fit, of which only those about reading the data matter
    progress : called with ``(stage, done, total)``

    Raises
    ------
    UserError
        If there is nothing to fit, or the folder may not be read.
    """
    data, source = options.path, DataSource.chosen(options)
    named = [path for path in (source.labels, source.test) if path is not None]
    for path in named:
        check_readable(path)
    check_readable(data, data.glob("*.zip") if os.path.isdir(data) else ())
    key, kept = (source, max(map(_changed, (data, *named)))), _kept()
    if key not in kept:
        listing = find_images(source)
        check_readable(data, (listing.root / path for path in listing.images["path"]))
        given = bool((listing.images["split"] == "valid").any())
        dataset = load_dataset(source, listing=listing, progress=progress)
        found = inspection(dataset, data)
        kept[key] = DatasetPreview(dataset, found, given, duplicates(dataset.images))
        for old in list(kept)[:-KEPT]:
            del kept[old]
    return kept[key]


def counts(preview: DatasetPreview, valid: int | None, sample: bool, seed: int) -> pd.DataFrame:
    """Count images by class (rows) and split (columns), with the split that `fit` will use.

    Raises
    ------
    UserError
        If ``valid`` is out of range.
    """
    images = split_images(preview, valid, sample, seed)
    split = images["split"]
    table = pd.crosstab(images["label"].fillna("").mask(split == "test", ""), split)
    table = table.reindex(columns=["train", "valid", "test"], fill_value=0)
    return table.reindex(list(preview.dataset.class_names), fill_value=0)


@lru_cache(maxsize=8)
def split_images(
    preview: DatasetPreview, valid: int | None, sample: bool, seed: int
) -> pd.DataFrame:
    """Return the images with the split that `fit` will use.

    Raises
    ------
    UserError
        If ``valid`` is out of range.
    """
    images = preview.dataset.images
    if not preview.valid_given:
        images = images.assign(split=images["split"].where(images["split"] != "valid", "train"))
    return divided(images, preview.dataset.root, valid, sample, seed)


def samples(preview: DatasetPreview, n: int) -> pd.DataFrame:
    """Return example images, alternating the classes; always the same ones."""
    images = preview.dataset.images
    labelled = images[images["split"] != "test"].sort_values("id")
    shuffled = labelled.iloc[np.random.default_rng(0).permutation(len(labelled))]
    turn = shuffled.groupby("label").cumcount()
    return shuffled.assign(turn=turn).sort_values(["turn", "label"], kind="stable").head(n)


def recent_folders() -> list[str]:
    """Return the data folders of the newest runs that still exist, and the demo."""
    found: list[str] = []
    for run in list_runs()[:50]:
        try:
            data = run.config.data
        except UserError:
            continue
        if data and data not in found and Path(data).exists():
            found.append(data)
    demo = str(workspace() / "demo")
    if demo not in found and (workspace() / "demo" / "train").is_dir():
        found.append(demo)
    return found[:RECENT]


def _changed(data: Path) -> int:
    """Return a number of the times of the folder and two levels of subfolders, which all count."""
    try:
        below = [path for path in data.glob("*") if path.is_dir()] if data.is_dir() else []
        below += [path for folder in list(below) for path in folder.glob("*/")][:2000]
        return hash(tuple((str(path), path.stat().st_mtime_ns) for path in (data, *below)))
    except (OSError, ValueError):  # a name may contain a null byte
        return 0


@st.cache_resource
def _kept() -> dict[tuple[DataSource, int], DatasetPreview]:
    return {}
