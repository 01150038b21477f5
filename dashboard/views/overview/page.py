"""The Overview page: the metrics of a run, its errors, and links to the images."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.gallery.gallery import gallery
from dashboard.gallery.tiles import tiles_of
from dashboard.selection import split
from dashboard.selection.image_filter import ImageFilter, errors_address, open_errors
from dashboard.selection.run import run_name
from dashboard.selection.split import standing_parameters
from dashboard.shared import browser_sync, commands, html, thumbnails
from dashboard.shared.chart import chart
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table
from dashboard.views.overview import (
    charts,
    classes,
    data,
    next_steps,
    ranges,
    text,
    thresholds,
    weak_slices,
)
from dashboard.views.overview.data import Overview
from dashboard.views.overview.matrix import TABLE_UP_TO, matrix

MANY_CLASSES = 4


def show() -> None:
    name = run_name()
    if name is None:
        empty()
        return
    table = split.selected_table(name, split.LABELLED_TEST)
    open_chosen(table)
    if not len(table):
        st.info("This run has no validation images to score.", icon=":material/info:")
        quarantine(name)
        return
    if not table.predictions.labelled:
        st.info("The images of this run have no labels; see the predictions on the Errors page.")
        quarantine(name)
        return
    split.switch(name, split.LABELLED_TEST)
    view = data.overview(table)
    figures(table, view, len(data.quarantine(name)))
    if note := text.note(name):
        st.markdown(note)
    if precision := data.precision(name):
        st.caption(literal(precision))
    if change := text.label_edit_effect(name):
        st.markdown(change)
    next_steps.show(name)
    highest_loss(table, view)
    left, right = st.columns(2, gap="large")
    with left:
        confusion(table, view)
    with right:
        concentration(table, view)
        if len(view.matrix) > TABLE_UP_TO:
            pairs(table, view)
    if MANY_CLASSES <= len(view.matrix) <= TABLE_UP_TO:
        pairs(table, view)
    weak_slices.show(table)
    left, right = st.columns(2, gap="large")
    with left:
        histogram(table)
    with right:
        reliability(table)
    thresholds.show(table)
    classes.show(table)
    causes(table)
    quarantine(name)
    prefetch_cells(table, view)


def prefetch_cells(table: Table, view: Overview) -> None:
    """Prefetch the images of the cells that are most likely to be opened."""
    for true, predicted, _ in view.pairs[:2]:
        thumbnails.prefetch(data.cell_images(table, true, predicted))


def open_chosen(table: Table) -> None:
    """Open the Errors page, before anything is drawn, if a row or a bar was selected."""
    if table.predictions.labelled:
        classes.open_chosen(table)
        ranges.open_chosen(data.overview(table))
    if (pair := browser_sync.selected_row("pairs")) is not None:
        true, predicted, _ = data.overview(table).pairs[pair]
        open_errors(data.in_cell(table, true, predicted))


def figures(table: Table, view: Overview, n_quarantined: int) -> None:
    """Show the metrics of the run in one row."""
    html.show_html(text.measures(table, view, n_quarantined), key="measures")


def confusion(table: Table, view: Overview) -> None:
    st.subheader("Confusion matrix", anchor=False)
    st.caption("Rows are the true class. Click a cell, or press Enter on it, to show its images.")
    matrix(view.matrix, table.predictions.class_names, key="matrix", address=standing_parameters())


def highest_loss(table: Table, view: Overview) -> None:
    st.subheader("Highest-loss images", anchor=False)
    st.caption("Open an image to enlarge it and to step through the others.")
    tiles = tiles_of(table, view.highest_loss)
    marks = any(tile["outcome"] != "incorrect" for tile in tiles)
    for tile in tiles:
        tile["address"] = errors_address(ImageFilter(image=tile["id"]))
    gallery(
        tiles,
        key="highest_loss",
        opened=lambda: None,
        strip=True,
        marks=marks,
    )


def concentration(table: Table, view: Overview) -> None:
    counts, share = view.concentration
    half = int(counts[np.searchsorted(share, 0.5)])
    st.subheader("Concentration of the log loss", anchor=False)
    worst = "image accounts" if half == 1 else f"{half:,} images account"
    st.caption(f"The highest-loss {worst} for half of the total, out of {len(table):,}.")
    draw(table, "concentration")


def pairs(table: Table, view: Overview) -> None:
    """With several classes, list the largest off-diagonal cells."""
    names = table.predictions.class_names
    if not view.pairs:
        return
    st.subheader("Most confused pairs", anchor=False)
    st.caption("Select a row to show its images.")
    st.dataframe(
        {
            "True": [names[t] for t, _, _ in view.pairs],
            "Predicted": [names[p] for _, p, _ in view.pairs],
            "Images": [n for _, _, n in view.pairs],
            "Share of the true class": [n / view.matrix[t].sum() for t, _, n in view.pairs],
        },
        key="pairs",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Share of the true class": st.column_config.ProgressColumn(
                format="percent", min_value=0, max_value=1
            )
        },
    )


def histogram(table: Table) -> None:
    st.subheader("Confidence: correct vs. incorrect", anchor=False)
    st.caption(
        "Images by probability; correct above incorrect, each on its own scale. Click a bar, "
        "or drag over several, to show their images; on Errors, “Filter and sort” takes any range."
    )
    draw(table, "histogram")


def reliability(table: Table) -> None:
    st.subheader("Calibration", anchor=False)
    st.caption(
        "Dotted line: predicted and observed frequency are equal. Grey band: 95 % of the points "
        "of a calibrated model lie here. Large points: many images. Click a point, or "
        "drag over several, to show them."
    )
    draw(table, "reliability")


def causes(table: Table) -> None:
    found = data.loss_by_causes(table)
    if not found:
        return
    st.subheader("Log loss by cause", anchor=False)
    st.caption("Mean log loss by the cause that reviewers gave, with 95 % intervals.")
    figure = charts.causes_figure(found)
    chart(figure, "causes", "mean log loss by cause, with 95 % intervals")


def quarantine(name: str) -> None:
    found = data.quarantine(name)
    if len(found):
        with st.expander(f"{len(found):,} unreadable file{'s' * (len(found) > 1)}, with reasons"):
            st.dataframe(found, hide_index=True)


def empty() -> None:
    with st.container(key="empty", horizontal_alignment="center"):
        st.header("Second Look", anchor=False)
        st.markdown(
            "Fine-tune an image classifier, review its errors, write the submission.  \n"
            "No finished run yet. The demo draws images and fits a model on them."
        )
        with st.container(horizontal=True, horizontal_alignment="center"):
            if st.button("Start the demo", type="primary", icon=":material/play_arrow:"):
                commands.start_demo()
                st.switch_page("views/train/page.py")
            if st.button("Use my images", icon=":material/folder_open:"):
                st.switch_page("views/train/page.py")


ABOUT = {
    "concentration": "share of the log loss by number of highest-loss images",
    "histogram": "correct and incorrect images by probability",
    "reliability": "observed frequency by predicted probability",
}
FIGURES = {
    "concentration": lambda table, view: charts.concentration_figure(*view.concentration),
    "histogram": lambda table, view: charts.histogram_figure(view.histogram, table.score_name),
    "reliability": lambda table, view: charts.reliability_figure(
        view.reliability, table.score_name, table.score_event
    ),
}


def draw(table: Table, name: str) -> None:
    figure = data.figure(table, name, FIGURES[name])
    chart(figure, name, ABOUT[name], opens=name in (ranges.HISTOGRAM, ranges.RELIABILITY))


show()
