"""Which rows of a table a look shows, and in which order; cached like the tables."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import streamlit as st

from dashboard.selection import slices
from dashboard.selection.image_filter import ALL, ImageFilter
from dashboard.selection.lasso import read_lasso
from dashboard.selection.map_coordinates import within
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.categories import category_rows


def rows(table: Table, look: ImageFilter) -> np.ndarray:
    """Return the rows of a look in the order in which to show them, int64, read-only."""
    names = table.predictions.class_names
    true = None if look.true is None else names.index(look.true)
    predicted = None if look.predicted is None else names.index(look.predicted)
    seed = look.seed if look.show.startswith("random") else 0
    return _rows(
        table.key, look.show, seed, true, predicted, look.low, look.high, look.text, look.map,
        look.slice, slices.stamp() if look.slice else None,
    )  # fmt: skip


@st.cache_resource(max_entries=32, show_spinner=False)
def _category(key: Key, show: str, seed: int) -> np.ndarray:
    table = cached_table(key)
    if show == ALL:
        order = np.argsort(-table.loss, kind="stable")  # unlabelled (nan) last
    else:
        y_true, p = table.predictions.y_true, table.predictions.probabilities
        order = category_rows(show, y_true, p, seed=seed)
    order.setflags(write=False)
    return order


@st.cache_resource(max_entries=64, show_spinner=False)
def _rows(
    key: Key,
    show: str,
    seed: int,
    true: int | None,
    predicted: int | None,
    low: float,
    high: float,
    text: str,
    area: str,
    part: str,
    now: slices.Stamp | None,
) -> np.ndarray:
    table, order = cached_table(key), _category(key, show, seed)
    keep = np.ones(len(table), dtype=bool)
    if true is not None:
        keep &= table.predictions.y_true == true
    if predicted is not None:
        keep &= table.y_pred == predicted
    if low > 0 or high < 1:
        keep &= (table.score >= low) & (table.score <= high)
    if text:
        found = pc.match_substring(table.predictions.ids, text, ignore_case=True)
        keep &= np.asarray(found, dtype=bool)
    if part:
        keep &= slices.within(table, part)
    if area and (drawn := read_lasso(area)):
        keep &= within(key[0], key[1], table.predictions.ids, drawn)
    chosen = order if keep.all() else order[keep[order]]
    chosen.setflags(write=False)
    return chosen
