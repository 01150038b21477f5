"""Colours and layout that all Plotly figures share; imports no Streamlit."""

from __future__ import annotations

import plotly.graph_objects as go

# Readable on the light and on the dark background alike.
ACCENT, CALM, FAINT = "#d4654a", "#8d8880", "rgba(141,136,128,0.28)"


def calm(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
        bargap=0,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(showgrid=False, zeroline=False, fixedrange=True, automargin=True)
    figure.update_yaxes(gridcolor=FAINT, zeroline=False, fixedrange=True, automargin=True)
    return figure


def plain(text: str) -> str:
    """Return text that Plotly, which reads a few HTML tags, shows as it is."""
    short = text if len(text) <= 40 else text[:39] + "…"
    return (
        short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")
    )
