"""The rows of a table that a filter keeps, in the order to show them; cached."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import streamlit as st

from dashboard.selection.filters import BY_PARAMETER
from dashboard.selection.image_filter import ALL, ImageFilter
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.categories import category_rows


def rows(table: Table, image_filter: ImageFilter) -> np.ndarray:
    """Return the rows that a filter keeps, in the order to show them, int64, read-only."""
    where = tuple(image_filter.where.items())
    seed = image_filter.seed if image_filter.show.startswith("random") else 0
    stamps = tuple(BY_PARAMETER[name].stamp() for name, _ in where)
    return _rows(table.key, image_filter.show, seed, where, stamps)


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
    key: Key, show: str, seed: int, where: tuple[tuple[str, str], ...], stamps: tuple[Hashable, ...]
) -> np.ndarray:
    table, order = cached_table(key), _category(key, show, seed)
    keep = np.ones(len(table), dtype=bool)
    for name, value in where:
        keep &= BY_PARAMETER[name].keep(table, value)
    chosen = order if keep.all() else order[keep[order]]
    chosen.setflags(write=False)
    return chosen
