"""The Clip page: two bounds, their effect on the log loss while dragging, and the best bounds."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.selection import split as selection_split
from dashboard.selection.run import run_name
from dashboard.shared import html, tables
from dashboard.shared.chart import chart
from dashboard.shared.tables import Table
from dashboard.shell import show_user_errors
from dashboard.views.clip import bounds, charts, corrections, data, text
from dashboard.views.clip.bounds_track import bounds_track
from dashboard.views.clip.corrections import MOST_POINTS, STEP, ShiftedCurve
from dashboard.views.clip.data import ClipLossCurve
from engine.analysis.clipping import confident_error_cost, touched
from engine.analysis.compared_corrections import Comparison
from engine.runs.run_list import open_run


def page() -> None:
    name = run_name()
    st.header("Clip", anchor=False)
    if name is None:
        html.no_run("choose clip bounds")
        return
    valid = selection_split.selected_table(name)
    if not valid.predictions.labelled:
        st.info("The validation images of this run have no labels, so there is no log loss.")
        return
    selection_split.switch(name)
    run, compared = open_run(name), corrections.comparison(valid)
    start = (compared.chosen.lower, compared.chosen.upper) if compared else run.bounds
    bounds.load(name, run.kept_bounds or start)
    live(valid, tables.test_table(name), data.clip_loss_curve(valid))
    compare_corrections(valid)


@st.fragment
def live(valid: Table, test: Table | None, curve: ClipLossCurve) -> None:
    """Draw everything that depends on the bounds; dragging reruns only this fragment."""
    lower, upper, linked = bounds.current()
    compared = corrections.comparison(valid)
    kept = open_run(valid.key[0]).kept_bounds
    applied = f" {text.applied(kept, compared)}" if compared else ""
    st.caption(f"{text.ABOUT}{applied}")
    loss = curve.loss.at(lower, upper)
    touches = [(split, len(t), *_touched(t, lower, upper)) for split, t in _splits(valid, test)]
    shown = test if test is not None and len(test) else valid
    n_test = len(shown)
    one = confident_error_cost(lower, upper, n_test, curve.loss.n_classes)

    html.show_html(text.before_after(curve.before, loss, valid.images), key="clip_loss")
    bounds_track(
        lower,
        upper,
        linked=linked,
        bars=data.bars(shown).tolist(),
        reach=data.REACH,
        note=text.histogram_note(shown.score_name, shown.images),
        key=bounds.TRACK,
        moved=bounds.moved,
    )
    _fields()
    shifted = _shift(valid, (lower, upper))
    _presets(shifted, compared, kept)
    st.space("small")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Best bounds", anchor=False)
        figure = charts.clip_figure(
            curve.bounds, curve.losses, curve.band,
            before=curve.before, best=curve.symmetric, chosen=(lower, upper), loss=loss,
            images=valid.images, shifted=shifted.losses if shifted else None,
        )  # fmt: skip
        chart(figure, "clip_curve", "log loss by symmetric bound, with its 95 % interval")
        html.show_html(text.best_bounds(curve))
    with right:
        st.subheader("Predictions changed by clipping", anchor=False)
        html.show_html(text.touched_table(touches, lower, upper))
        st.subheader("Cost of a confident error", anchor=False)
        counted = compared is not None
        table = text.confident_error_table(one, n_test, shown.images, loss, counted=counted)
        html.show_html(table)


def _fields() -> None:
    fields = st.columns([2, 2, 3], vertical_alignment="bottom", gap="small")
    for column, label, key in zip(
        fields, ("Lower bound", "Upper bound"), (bounds.LOWER, bounds.UPPER), strict=False
    ):
        column.number_input(
            label, 0.0, 1.0, step=0.005, format="%.6g", key=key, on_change=bounds.typed, args=(key,)
        )
    fields[2].toggle(
        "Linked", key=bounds.LINKED, on_change=bounds.linked,
        help="Symmetric bounds [b, 1 − b].",
    )  # fmt: skip
    if message := bounds.complaint():
        st.warning(message, icon=":material/error:")


def _shift(valid: Table, chosen: tuple[float, float]) -> ShiftedCurve | None:
    """Ask for the assumed drop in test accuracy, and show its effect."""
    estimated = corrections.estimated(valid)
    suggested = estimated.points if estimated else 0.0
    most = max(MOST_POINTS, np.ceil(suggested))
    points = bounds.points(min(STEP * round(suggested / STEP), most))
    left, right = st.columns([2, 3], gap="large", vertical_alignment="center")
    left.slider(
        "Assumed drop in test accuracy (percentage points)", 0.0, float(most), step=STEP,
        format="%.2f", key=bounds.POINTS, on_change=bounds.points_moved,
        help=text.PUBLISHED,
    )  # fmt: skip
    if estimated is not None:
        left.caption(estimated.sentence)
    shifted = corrections.shifted_curve(valid, points)
    if shifted:
        with right:
            html.show_html(text.shifted_sentence(points, shifted, chosen))
    return shifted


@st.fragment
def compare_corrections(valid: Table) -> None:
    """Compare corrections by cross-validation."""
    with show_user_errors():
        st.subheader("Calibration methods, cross-validated", anchor=False)
        compared = corrections.comparison(valid)
        if compared is None:
            st.caption("At least ten labelled images are needed.")
            return
        html.show_html(text.recommendation(compared))
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
        with left:
            html.show_html(text.corrections_table(compared))
        figure = charts.corrections_figure(compared)
        with right:
            chart(figure, "corrections", "log loss of each correction minus that without")


def _presets(
    shifted: ShiftedCurve | None, compared: Comparison | None, kept: tuple[float, float] | None
) -> None:
    """Offer what is recommended, bounds to start from, and those for the assumed drop."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if compared:
            chosen = compared.chosen
            st.button(
                "Use the recommended correction", type="primary", icon=":material/target:",
                on_click=bounds.use_recommended, args=(chosen.lower, chosen.upper),
                disabled=kept is None,
            )  # fmt: skip
        if shifted is not None:
            best = text.short(shifted.symmetric[0])
            label = "no clipping" if best == 0 else f"{best:g} and {1 - best:.9g}"
            pair = (best, round(1 - best, 12), True)
            st.button(f"For this drop: {label}", on_click=bounds.use, args=pair)
        st.button("Often used: 0.025 and 0.975", on_click=bounds.use, args=(0.025, 0.975, True))
        st.button("No clipping", on_click=bounds.use, args=(0.0, 1.0, True))


def _splits(valid: Table, test: Table | None) -> list[tuple[str, Table]]:
    name = "Validation" if valid.key[1] == "valid" else "Labelled"
    return [(name, valid)] + ([("Test", test)] if test is not None and len(test) else [])


def _touched(table: Table, lower: float, upper: float) -> tuple[int, int]:
    positive = table.positive if len(table.predictions.class_names) == 2 else None
    return touched(table.predictions.probabilities, lower, upper, positive)


page()
