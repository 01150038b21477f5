"""The decision threshold of two classes on the Overview page, with its curves and counts."""

from __future__ import annotations

import streamlit as st
from plotly.graph_objects import Figure

from dashboard.selection.filters import BY_PARAMETER, SCORE, TRUE
from dashboard.selection.image_filter import ALL, ImageFilter, open_errors
from dashboard.shared import html, tables
from dashboard.shared.browser_sync import set_widget, widget_key
from dashboard.shared.cache import cached
from dashboard.shared.chart import chart
from dashboard.shared.escape import literal
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Key, Table, cached_table
from dashboard.shell import show_user_errors
from dashboard.views.overview.charts import precision_recall_figure, roc_figure
from engine.analysis.thresholds import Decisions, ThresholdCurves, decisions, threshold_curves
from engine.runs.decision_threshold import load_threshold, save_threshold, threshold_path
from engine.runs.run_list import open_run

USUAL = 0.5
_SLIDER = "threshold"
_CURVES = {
    "precision_recall": (precision_recall_figure, "precision by recall"),
    "roc": (roc_figure, "true positive rate by false positive rate"),
}
_ABOUT = (
    "Images whose probability of {positive} reaches the threshold count as {positive}. Once moved, "
    "it is saved with the run, changes the figures below, and adds the accuracy “at threshold” at "
    "the top of the page. Elsewhere, correct and incorrect still refer to the most likely class "
    "(threshold 0.5); probabilities, log loss, Clip and Submit do not depend on it. On the images "
    "that it is chosen on, a threshold looks slightly too good."
)


def saved_threshold(table: Table) -> float | None:
    """Return the threshold saved with a run of two classes, or None."""
    if len(table.predictions.class_names) != 2:
        return None
    run = open_run(table.key[0])
    return _saved(run.name, stamp_of(threshold_path(run)))


def decided(table: Table, threshold: float) -> Decisions:
    """Return how a threshold decides the images of a labelled table of two classes."""
    return _decided(table.key, threshold)


def show(table: Table) -> None:
    """Draw the section, where there are two classes and images of both."""
    names, y_true = table.predictions.class_names, table.predictions.y_true
    if len(names) != 2 or table.positive is None or (y_true.min(), y_true.max()) != (0, 1):
        return
    with show_user_errors():
        threshold = saved_threshold(table)
        st.subheader("Decision threshold", anchor=False)
        st.caption(literal(_ABOUT.format(positive=names[table.positive])))
        with st.container(horizontal=True, vertical_alignment="bottom", key="threshold_row"):
            label = f"{table.score_title} from which an image counts as {names[table.positive]}"
            st.slider(
                literal(label),
                0.0, 1.0, step=0.005, format="%.3f",
                key=set_widget(_SLIDER, USUAL if threshold is None else threshold),
                on_change=_moved, args=(table.key[0],),
            )  # fmt: skip
            st.button(
                "Back to 0.5", key="threshold_usual", disabled=threshold is None,
                on_click=_forgotten, args=(table.key[0],),
            )  # fmt: skip
        now = USUAL if threshold is None else threshold
        _counts(table, now)
        for place, (name, (_, about)) in zip(
            st.columns(2, gap="large"), _CURVES.items(), strict=True
        ):
            with place:
                chart(_figure(table.key, name, now), name, about, _columns(table.key))


def _counts(table: Table, threshold: float) -> None:
    """Show the shares, and the four counts, each of which shows its images."""
    found, names, positive = (
        decided(table, threshold),
        table.predictions.class_names,
        table.positive,
    )
    assert positive is not None
    shares = (
        ("Accuracy", found.accuracy), (f"Precision of {names[positive]}", found.precision),
        (f"Recall of {names[positive]}", found.recall),
        (f"Recall of {names[1 - positive]}", found.specificity),
    )  # fmt: skip
    head = ("", "Share", "95 % interval")
    rows = [
        (name, "–" if share is None else f"{share:.2%}",
         "" if ends is None else f"{ends[0]:.2%} to {ends[1]:.2%}")
        for name, (share, ends) in shares
    ]  # fmt: skip
    left, right = st.columns(2, gap="large")
    with left:
        html.show_html(html.table(head, rows))
    with right, st.container(key="decided"):
        for true in (1, 0):
            for cell, called in zip(st.columns(2, gap="xsmall"), (1, 0), strict=True):
                name, other = (names[positive if each else 1 - positive] for each in (true, called))
                text = literal(f"{name} counted as {other}")
                label = f"{text}: **{found.counts[true][called]:,}**"
                if cell.button(label, key=f"decided_{true}{called}", width="stretch"):
                    ends = (threshold, 1.0) if called else (0.0, threshold)
                    widget = BY_PARAMETER[SCORE].widget
                    where = {TRUE: name, SCORE: widget.says(ends) if widget else ""}
                    open_errors(ImageFilter(show=ALL, where=where))


def _moved(run: str) -> None:
    with show_user_errors():
        save_threshold(open_run(run), round(float(st.session_state[widget_key(_SLIDER)]), 3))


def _forgotten(run: str) -> None:
    with show_user_errors():
        save_threshold(open_run(run), None)


@cached(8)
def _saved(name: str, stamp: Stamp) -> float | None:
    return load_threshold(open_run(name))


@cached(16)
def _figure(key: Key, name: str, threshold: float) -> Figure:
    draw, _ = _CURVES[name]
    return draw(_curves(key), _decided(key, threshold))


@cached(8)
def _curves(key: Key) -> ThresholdCurves:
    table = cached_table(key)
    return threshold_curves(table.predictions.y_true == table.positive, table.score)


@cached(4)
def _columns(key: Key) -> dict[str, list[float]]:
    curves = _curves(key)
    return {
        "threshold": curves.thresholds.tolist(),
        "precision": curves.precision.tolist(),
        "recall": curves.recall.tolist(),
        "false_positive_rate": curves.false_positive_rate.tolist(),
    }


@cached(32)
def _decided(key: Key, threshold: float) -> Decisions:
    table = cached_table(key)
    positive = table.predictions.y_true == table.positive
    return decisions(positive, table.score, threshold, tables.groups(table))
