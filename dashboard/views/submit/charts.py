"""The chart of the Submit page; imports no Streamlit."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from dashboard.shared.plot_style import ACCENT, GREY, plain, style_figure
from engine.analysis.calibration import ProbabilityHistogram


def submitted_figure(
    histogram: ProbabilityHistogram, score_name: str, bounds: tuple[float, float]
) -> go.Figure:
    """Draw a histogram of the submitted probabilities on a square-root scale."""
    counts = histogram.unlabelled
    centres = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    figure = go.Figure()
    figure.add_bar(
        x=centres, y=np.sqrt(counts), customdata=counts, marker_color=GREY,
        width=np.diff(histogram.edges) * 0.86,
        hovertemplate="%{x:.2f}: %{customdata:,} images<extra></extra>",
    )  # fmt: skip
    for bound in bounds:
        figure.add_vline(x=bound, line={"color": ACCENT, "width": 1.5, "dash": "dash"})
    top = int(counts.max(initial=1))
    ticks = sorted({0, *_round_steps(top)})
    figure.update_yaxes(
        title_text="images", tickvals=np.sqrt(ticks), ticktext=[f"{n:,}" for n in ticks],
        range=[0, float(np.sqrt(top)) * 1.06],
    )  # fmt: skip
    figure.update_xaxes(title_text=plain(score_name) + ", as submitted", range=[0, 1])
    return style_figure(figure, 240)


def _round_steps(top: int) -> list[int]:
    """Return round counts up to ``top``, spaced evenly on a square-root scale, descending."""
    chosen: list[int] = []
    for step in sorted((m * 10**power for power in range(8) for m in (1, 2, 5)), reverse=True):
        if step <= top and (not chosen or np.sqrt(chosen[-1]) - np.sqrt(step) > np.sqrt(top) / 8):
            chosen.append(step)
    return [step for step in chosen if np.sqrt(step) > np.sqrt(top) / 8]
