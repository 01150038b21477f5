"""The images behind a bar of the histogram or a point of the calibration chart."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from dashboard.selection.filters import BY_PARAMETER, SCORE
from dashboard.selection.image_filter import ALL, ImageFilter, open_errors
from dashboard.views.overview.data import BINS, Overview

HISTOGRAM, RELIABILITY = "histogram", "reliability"
_CATEGORIES = ("most-correct", "most-incorrect")  # of the histogram's bars, by their row


def open_chosen(view: Overview) -> None:
    """Open the Errors page, before anything is drawn, if a bar or a point was clicked."""
    if (point := _clicked(HISTOGRAM)) is not None:
        edges = view.histogram.edges
        where = {SCORE: _bin(edges, float(point["x"]))}
        show = _CATEGORIES[min(int(point.get("curve_number", 0)), 1)]
        open_errors(ImageFilter(show=show, where=where))
    if (point := _clicked(RELIABILITY)) is not None:
        where = {SCORE: _bin(np.linspace(0, 1, BINS + 1), float(point["x"]))}
        open_errors(ImageFilter(show=ALL, where=where))


def _bin(edges: np.ndarray, value: float) -> str:
    """Return the bin that holds a value as text for the address."""
    at = int(np.clip(np.searchsorted(edges, value, side="right") - 1, 0, len(edges) - 2))
    widget = BY_PARAMETER[SCORE].widget
    return widget.says((edges[at], edges[at + 1])) if widget else ""


def _clicked(key: str) -> dict[str, Any] | None:
    """Return the point of a chart that was clicked, or None."""
    value = st.session_state.get(key)
    points = [] if value is None else value["selection"]["points"]
    known = points and isinstance(points[0].get("x"), int | float)
    return dict(points[0]) if known else None
