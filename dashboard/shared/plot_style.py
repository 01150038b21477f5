"""Colours and layout of all Plotly figures; imports no Streamlit."""

from __future__ import annotations

import plotly.graph_objects as go

# Readable on light and dark backgrounds.
ACCENT, GREY, FAINT = "#d4654a", "#8d8880", "rgba(141,136,128,0.28)"


def style_figure(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
        bargap=0,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    every = {"zeroline": False, "fixedrange": True, "automargin": True, "exponentformat": "none"}
    figure.update_xaxes(showgrid=False, **every)
    figure.update_yaxes(gridcolor=FAINT, **every)
    return figure


def brushable(figure: go.Figure) -> go.Figure:
    """Let a drag choose all points between two x, see `chart_points`; a click chooses one."""
    figure.update_layout(dragmode="select", selectdirection="h", hovermode="closest")
    return figure


def plain(text: str) -> str:
    """Return text that Plotly, which interprets some HTML tags, shows literally."""
    short = text if len(text) <= 40 else text[:39] + "…"
    return (
        short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")
    )
