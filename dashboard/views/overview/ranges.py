"""The images behind bars of the histogram or points of the calibration chart."""

from __future__ import annotations

import numpy as np

from dashboard.selection.filters import BY_PARAMETER, SCORE
from dashboard.selection.image_filter import ALL, ImageFilter, open_errors
from dashboard.shared.chart_points import ChosenPoints, chosen_points
from dashboard.views.overview.data import BINS, Overview

HISTOGRAM, RELIABILITY = "histogram", "reliability"
_CATEGORIES = ("most-correct", "most-incorrect")  # of the histogram's bars, by their row


def open_chosen(view: Overview) -> None:
    """Open the Errors page, before anything is drawn, if bars or points were chosen."""
    if chosen := chosen_points(HISTOGRAM):
        of_bars = {_CATEGORIES[min(max(curve, 0), 1)] for curve in chosen.curves}
        show = of_bars.pop() if len(of_bars) == 1 else ALL
        open_errors(ImageFilter(show=show, where={SCORE: _range(view.histogram.edges, chosen)}))
    if chosen := chosen_points(RELIABILITY):
        edges = np.linspace(0, 1, BINS + 1)
        open_errors(ImageFilter(show=ALL, where={SCORE: _range(edges, chosen)}))


def _range(edges: np.ndarray, chosen: ChosenPoints) -> str:
    """Return the bins from the lowest to the highest point as text for the address."""
    ends = np.array([chosen.low, chosen.high])
    first, last = np.clip(np.searchsorted(edges, ends, side="right") - 1, 0, len(edges) - 2)
    widget = BY_PARAMETER[SCORE].widget
    return widget.says((edges[first], edges[last + 1])) if widget else ""
