"""Reports the points of a chart that were clicked or brushed by dragging."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.shared.browser_sync import component_value
from dashboard.shared.component import registered

_points = registered(__file__, "<div></div>")


@dataclass(frozen=True)
class ChosenPoints:
    """The points of a chart that were chosen.

    Attributes
    ----------
    low, high : the lowest and the highest x
    curves : the numbers of the traces they belong to
    """

    low: float
    high: float
    curves: frozenset[int]


def chart_points(chart: str) -> None:
    """Listen to the chart in whose container this is drawn."""
    _points(key=f"{chart}_points", data={"chart": chart}, on_points_change=lambda: None)


def chosen_points(chart: str) -> ChosenPoints | None:
    """Return the points of a chart that were chosen with this run, or None."""
    sent = component_value(f"{chart}_points", "points")
    points = [each for each in sent if isinstance(each, dict)] if isinstance(sent, list) else []
    xs = [float(x) for each in points if isinstance(x := each.get("x"), int | float)]
    curves = frozenset(n for each in points if isinstance(n := each.get("curve"), int))
    return ChosenPoints(min(xs), max(xs), curves) if xs else None
