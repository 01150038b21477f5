"""Scores of each class on the Overview page, each with a link to its images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard.selection.filters import TRUE
from dashboard.selection.image_filter import ImageFilter, open_errors
from dashboard.shared import browser_sync, tables
from dashboard.shared.cache import cached
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.class_scores import ClassScores, class_scores

KEY = "classes"


@dataclass(frozen=True, eq=False)
class ClassTable:
    """The scores of every class, and the mean log loss of its images, nan without images."""

    scores: tuple[ClassScores, ...]
    log_loss: np.ndarray


def class_table(table: Table) -> ClassTable:
    """Return the scores of every class of a labelled table."""
    return _class_table(table.key)


def open_chosen(table: Table) -> None:
    """Open the Errors page, before anything is drawn, if a class was selected."""
    if (row := browser_sync.selected_row(KEY)) is not None:
        open_errors(ImageFilter(where={TRUE: table.predictions.class_names[row]}))


def show(table: Table) -> None:
    """Draw the section."""
    found = class_table(table)
    st.subheader("Classes", anchor=False)
    st.caption(
        "Precision: share of the images predicted as a class that belong to it. Recall: share of "
        "the images of a class that are predicted as it. With 95 % intervals. Select a row to show "
        "its images."
    )
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        {
            "Class": [each.name for each in found.scores],
            "Images": [each.count for each in found.scores],
            "Precision": [each.precision for each in found.scores],
            "Precision, 95 %": [_interval(each.precision_interval) for each in found.scores],
            "Recall": [each.recall for each in found.scores],
            "Recall, 95 %": [_interval(each.recall_interval) for each in found.scores],
            "Log loss": found.log_loss,
        },
        key=KEY,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Precision": percent,
            "Recall": percent,
            "Log loss": st.column_config.NumberColumn(format="%.4f"),
        },
    )


def _interval(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.1%} to {pair[1]:.1%}"


@cached(8)
def _class_table(key: Key) -> ClassTable:
    table = cached_table(key)
    names, y_true = table.predictions.class_names, table.predictions.y_true
    counts = np.bincount(y_true, minlength=len(names))
    sums = np.bincount(y_true, table.loss, minlength=len(names))
    mean = np.divide(sums, counts, out=np.full(len(names), np.nan), where=counts > 0)
    return ClassTable(class_scores(y_true, table.y_pred, names, tables.groups(table)), mean)
