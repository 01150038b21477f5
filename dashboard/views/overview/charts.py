"""Charts of the Overview page; imports no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.shared.plot_style import ACCENT, GREY, brushable, plain, style_figure
from engine.analysis.calibration import ProbabilityHistogram, ReliabilityCurve
from engine.analysis.causes import CauseLoss
from engine.analysis.thresholds import Decisions, ThresholdCurves


def histogram_figure(histogram: ProbabilityHistogram, score_name: str) -> go.Figure:
    """Draw correct and incorrect images by probability, each on its own scale."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.16)
    centres = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    width = np.diff(histogram.edges)
    parts = (("correct", histogram.correct, GREY), ("incorrect", histogram.incorrect, ACCENT))
    for row, (word, counts, colour) in enumerate(parts, start=1):
        bars = go.Bar(
            x=centres, y=counts, width=width * 0.86, marker_color=colour, name=word,
            hovertemplate=f"%{{x:.2f}}: %{{y:,}} {word}<extra></extra>",
        )  # fmt: skip
        figure.add_trace(bars, row=row, col=1)
        few = {"dtick": 1} if counts.max(initial=0) <= 4 else {"nticks": 4}  # integer ticks only
        figure.update_yaxes(title_text=word, row=row, col=1, rangemode="tozero", **few)
    figure.update_xaxes(title_text=plain(score_name), row=2, col=1, range=[0, 1])
    return brushable(style_figure(figure, 300))


def reliability_figure(curve: ReliabilityCurve, score_name: str, what: str) -> go.Figure:
    """Draw predicted probability against observed frequency, with the diagonal as reference."""
    size = 7 + 13 * np.sqrt(curve.counts / max(int(curve.counts.max(initial=1)), 1))
    figure = go.Figure()
    for name, ends, fill in (
        ("calibrated, 2.5 %", curve.low, None), ("calibrated, 97.5 %", curve.high, "tonexty"),
    ):  # fmt: skip
        figure.add_scatter(
            name=name, x=curve.mean_predicted, y=ends, mode="lines", line={"width": 0}, fill=fill,
            fillcolor="rgba(128,128,128,0.18)", hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        name="equal", x=[0, 1], y=[0, 1], mode="lines",
        line={"color": GREY, "dash": "dot", "width": 1},
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        name="observed", x=curve.mean_predicted, y=curve.fraction_correct, mode="lines+markers",
        line={"color": ACCENT, "width": 1.5}, customdata=curve.counts,
        marker={"size": size, "color": ACCENT, "opacity": 0.9, "line": {"width": 0}},
        hovertemplate="predicted %{x:.3f}, observed %{y:.3f}, n = %{customdata:,}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text=plain(score_name), range=[-0.03, 1.03])
    figure.update_yaxes(title_text=plain(what), range=[-0.05, 1.05], nticks=6)
    return brushable(style_figure(figure, 300))


def concentration_figure(counts: np.ndarray, share: np.ndarray) -> go.Figure:
    """Draw the share of the total log loss from the k highest-loss images, k on a log scale."""
    figure = go.Figure()
    figure.add_scatter(
        x=counts, y=share, mode="lines", line={"color": ACCENT, "width": 2}, fill="tozeroy",
        fillcolor="rgba(212,101,74,0.12)",
        hovertemplate="%{x:,} highest-loss images: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text="highest-loss images", type="log", dtick=1, tickformat=",d")
    figure.update_yaxes(
        title_text="share of the log loss", tickformat=".0%", range=[0, 1.04], nticks=6
    )
    return style_figure(figure, 300)


def precision_recall_figure(curves: ThresholdCurves, now: Decisions) -> go.Figure:
    """Draw precision by recall, the share of positives as reference, and the threshold's point."""
    at = (now.recall[0], now.precision[0])
    figure = _curve(curves, curves.recall, curves.precision, at)
    figure.add_hline(curves.positives, line={"color": GREY, "dash": "dot", "width": 1})
    figure.update_xaxes(title_text=f"recall (average precision {curves.average_precision:.4f})")
    figure.update_yaxes(title_text="precision")
    return style_figure(figure, 300)


def roc_figure(curves: ThresholdCurves, now: Decisions) -> go.Figure:
    """Draw the true by the false positive rate, chance as reference, and the threshold's point."""
    specificity = now.specificity[0]
    at = (None if specificity is None else 1 - specificity, now.recall[0])
    rates = (np.append(0, curves.false_positive_rate), np.append(0, curves.recall))
    figure = _curve(curves, *rates, at)
    figure.add_scatter(
        name="chance", x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip",
        line={"color": GREY, "dash": "dot", "width": 1},
    )  # fmt: skip
    figure.update_xaxes(title_text=f"false positive rate (area {curves.roc_auc:.4f})")
    figure.update_yaxes(title_text="true positive rate")
    return style_figure(figure, 300)


def _curve(
    curves: ThresholdCurves, x: np.ndarray, y: np.ndarray, at: tuple[float | None, float | None]
) -> go.Figure:
    """Draw a curve over the thresholds, and a point where the chosen threshold lies."""
    figure = go.Figure()
    thresholds = np.append(np.full(len(x) - len(curves.thresholds), np.inf), curves.thresholds)
    figure.add_scatter(
        name="thresholds", x=x, y=y, mode="lines", line={"color": ACCENT, "width": 2},
        customdata=thresholds,
        hovertemplate="%{x:.3f}, %{y:.3f} from %{customdata:.3f}<extra></extra>",
    )  # fmt: skip
    if None not in at:
        figure.add_scatter(
            name="chosen", x=[at[0]], y=[at[1]], mode="markers", hoverinfo="skip",
            marker={"size": 12, "color": ACCENT, "line": {"width": 2, "color": "white"}},
        )  # fmt: skip
    figure.update_xaxes(range=[-0.03, 1.03])
    figure.update_yaxes(range=[-0.05, 1.05], nticks=6)
    return figure


def causes_figure(causes: Sequence[CauseLoss]) -> go.Figure:
    """Draw the mean log loss by cause with intervals, highest at the top; no cause is faint."""
    rows = list(reversed(causes))
    names = [f"{plain(each.cause or 'no cause')} ({each.n:,})" for each in rows]
    means = np.array([each.log_loss for each in rows])
    figure = go.Figure()
    figure.add_scatter(
        x=means, y=names, mode="markers",
        marker={"size": 10, "color": [ACCENT if each.cause else GREY for each in rows]},
        error_x={
            "array": [each.high for each in rows] - means,
            "arrayminus": means - [each.low for each in rows],
            "color": GREY, "thickness": 1.5, "width": 0,
        },
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text="mean log loss", rangemode="tozero")
    return style_figure(figure, 90 + 34 * len(rows))
