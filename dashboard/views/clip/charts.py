"""Charts of the Clip page; imports no Streamlit."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard.shared.plot_style import ACCENT, FAINT, GREY, style_figure
from engine.analysis.bounds import BootstrapBand
from engine.analysis.compared_corrections import Comparison


def clip_figure(
    bounds: np.ndarray,
    losses: np.ndarray,
    band: BootstrapBand,
    *,
    before: float,
    best: tuple[float, float],
    chosen: tuple[float, float],
    loss: float,
    images: str,
    shifted: np.ndarray | None = None,
) -> go.Figure:
    """Draw the log loss against symmetric bounds, with the chosen and the best bounds.

    Parameters
    ----------
    best : the best symmetric bound, 0 for none, and its log loss
    chosen, loss : the current bounds and their log loss
    shifted : expected log loss at ``bounds`` with the assumed drop in test accuracy
    """
    low, high = float(min(band.lower.min(), losses.min())), max(before, loss, best[1])
    high = high if shifted is None else max(high, 1.1 * float(shifted.min()))
    top, left = high + 0.9 * (high - low) + 1e-6, float(np.log10(bounds[0]))
    floor = low - 0.12 * (top - low)
    figure = go.Figure()
    _add(figure, band.bounds, np.clip(band.upper, floor, top), "97.5 %", {"width": 0}, skip=True)
    _add(
        figure, band.bounds, np.clip(band.lower, floor, top), "2.5 %",
        {"width": 0}, skip=True, fill="tonexty", fillcolor=FAINT,
    )  # fmt: skip
    line = {"color": GREY, "width": 1, "dash": "dot"}
    _add(figure, bounds[[0, -1]], np.full(2, before), "without clipping", line)
    kept = losses <= top
    _add(figure, bounds[kept], losses[kept], "log loss", {"color": ACCENT, "width": 2})
    if shifted is not None:
        kept = shifted <= top
        line = {"color": ACCENT, "width": 1.5, "dash": "dashdot"}
        _add(figure, bounds[kept], shifted[kept], "with the assumed drop", line)
    if band.interval[1] > 0:
        ends = np.clip(band.interval, bounds[0], bounds[-1])
        line = {"color": GREY, "width": 5}
        _add(figure, ends, np.full(2, floor + 0.02 * (top - floor)), "as good as the best", line)
    if best[0] > 0:
        figure.add_scatter(
            x=[best[0]], y=[best[1]], mode="markers", name="best",
            marker={"symbol": "diamond", "size": 11, "color": ACCENT},
            hovertemplate="best symmetric bound %{x:.3g}: %{y:.5f}<extra></extra>",
        )  # fmt: skip
    for at in {chosen[0], round(1 - chosen[1], 12)}:
        x = min(max(at, float(bounds[0])), 0.5)
        figure.add_scatter(
            name="chosen bound", x=[x, x], y=[floor, top], mode="lines", hoverinfo="skip",
            line={"color": ACCENT, "width": 1.5, "dash": "dash"},
        )  # fmt: skip
    figure.update_xaxes(
        title_text="symmetric bound b, keeping [b, 1 − b]",
        type="log", dtick=1, range=[left, float(np.log10(bounds[-1]))], tickformat="~g",
    )  # fmt: skip
    figure.update_yaxes(title_text=f"log loss, {images}", range=[floor, top], nticks=6)
    return style_figure(figure, 330)


def corrections_figure(compared: Comparison) -> go.Figure:
    """Draw the log loss difference of each correction to no correction, with 95 % intervals."""
    scored = [one for one in compared.scored if one.name != "none"][::-1]
    difference = np.array([one.gain.difference for one in scored])
    low, high = np.array([one.gain.interval for one in scored]).T
    colours = [ACCENT if one.name == compared.recommended else GREY for one in scored]
    figure = go.Figure()
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    for at, (one, colour) in enumerate(zip(scored, colours, strict=True)):
        figure.add_scatter(
            name=one.title, x=[difference[at]], y=[one.title], mode="markers",
            marker={"color": colour, "size": 9}, hovertemplate="%{x:+.5f}<extra></extra>",
            error_x={
                "array": [max(high[at] - difference[at], 0)],
                "arrayminus": [max(difference[at] - low[at], 0)],
                "color": colour, "thickness": 2, "width": 0,
            },
        )  # fmt: skip
    figure.update_xaxes(title_text="log loss minus that without correction", nticks=5)
    figure.update_yaxes(showgrid=False)
    return style_figure(figure, 56 + 34 * len(scored))


def _add(
    figure: go.Figure, x: Any, y: Any, name: str | None, line: dict[str, Any],
    skip: bool = False, **more: Any,
) -> None:  # fmt: skip
    template = None if skip else f"%{{x:.3g}}: %{{y:.5f}} {name or ''}<extra></extra>"
    figure.add_scatter(
        x=x, y=y, mode="lines", name=name, line=line, hovertemplate=template,
        hoverinfo="skip" if skip else None, **more,
    )  # fmt: skip
