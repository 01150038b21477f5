"""Shows a chart, which can be downloaded as PNG from its tool bar and as CSV by a button."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from functools import partial
from html import unescape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard.shared.chart_points import chart_points


def chart(
    figure: go.Figure,
    key: str,
    about: str,
    columns: Mapping[str, Iterable[Any]] | None = None,
    *,
    opens: bool = False,
) -> None:
    """Show a chart.

    Parameters
    ----------
    key : name of the widget and of the files
    about : what the chart shows, for those who cannot see it
    columns : the table behind it, where that is not what is drawn
    opens : whether points that are clicked, or brushed by dragging, are reported, see
        `chart_points.chosen_points`
    """
    config = {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": "png", "filename": key, "scale": 2},
    }
    with st.container(key=f"chart_{key}", gap=None):
        st.plotly_chart(figure, key=key, config=config, alt=about)
        if opens:
            chart_points(key)
        st.download_button(
            "CSV", partial(csv_of, figure, columns), f"{key}.csv", "text/csv", key=f"{key}_csv",
            icon=":material/download:", type="tertiary", on_click="ignore",
            help=f"The numbers of this chart: {about}",
        )  # fmt: skip


def csv_of(figure: go.Figure, columns: Mapping[str, Iterable[Any]] | None = None) -> bytes:
    """Return the columns, or the points of a figure: series, x and y by their axes' titles."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    if columns is not None:
        table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))
        return out.getvalue().encode()
    table.writerow(
        ["series", _title(figure.layout.xaxis) or "x", _title(figure.layout.yaxis) or "y"]
    )
    for number, trace in enumerate(figure.data, start=1):
        if trace.x is not None:
            name = unescape(trace.name or f"series {number}")
            table.writerows((name, x, y) for x, y in zip(trace.x, trace.y, strict=True))
    return out.getvalue().encode()


def _title(axis: Any) -> str:
    return unescape(axis.title.text or "")
