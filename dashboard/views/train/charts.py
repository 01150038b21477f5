"""The chart of the Train page; imports no Streamlit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.shared.plot_style import ACCENT, GREY, style_figure


def epochs_figure(epochs: Sequence[Mapping[str, Any]], what: str, word: str) -> go.Figure:
    """Draw the training and validation loss or accuracy (``what``) by epoch."""
    x = [line.get("epoch") for line in epochs]
    figure = go.Figure()
    parts = (("train", what, GREY, "dot"), ("valid", f"valid_{what}", ACCENT, "solid"))
    for name, key, colour, dash in parts:
        y = [line.get(key) for line in epochs]
        figure.add_scatter(
            x=x, y=y, mode="lines+markers", name=name, marker={"size": 5, "color": colour},
            line={"color": colour, "width": 2, "dash": dash},
            hovertemplate=f"epoch %{{x}}: %{{y:.4f}} {name}<extra></extra>",
        )  # fmt: skip
    step = max(1, -(-len(x) // 12))
    figure.update_xaxes(title_text="epoch", dtick=step, range=[0.5, max(len(x), 2) + 0.5])
    figure.update_yaxes(title_text=word, nticks=6)
    style_figure(figure, 240)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.14}
    )
    return figure
