"""What is done with the chosen images at once: a verdict on each, its undoing, and their CSV."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from dashboard.gallery.viewer import VERDICT_KEYS
from dashboard.review.reviewer import reviewer
from dashboard.review.standing import standing
from dashboard.review.verdicts import judgements
from dashboard.selection.image_filter import ImageFilter
from dashboard.shared.browser_sync import note_change, set_widget, widget_key
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table
from dashboard.shell import show_user_errors
from dashboard.views.errors import chosen, export
from dashboard.views.errors.data import Gallery
from engine.runs.verdicts import WRONG, Verdict, say_all, take_back_all

_HISTORY, _RIGHT, _SAID = "bulk_history", "bulk_right", "bulk_said"
_KEPT = 50  # steps that can be undone


def bar(shown: Gallery, image_filter: ImageFilter, rows: np.ndarray) -> None:
    """Show what can be done with the chosen images, at the lower edge of the window."""
    if said := st.session_state.pop(_SAID, ""):
        st.toast(literal(said))
    if not len(rows):
        return
    table = shown.table
    with st.container(horizontal=True, vertical_alignment="center", key="chosen"):
        st.markdown(f"**{len(rows):,}** chosen", width="content")
        if (table.predictions.y_true[rows] >= 0).any():
            _verdict_buttons(table, rows)
        st.download_button(
            "CSV", partial(export.csv_of, table, _in_order(shown, rows)),
            f"{table.key[0]}-chosen.csv", "text/csv", icon=":material/download:",
            key="chosen_csv", on_click="ignore", help="The chosen images with all that is known",
        )  # fmt: skip
        if len(rows) < len(shown.order):
            st.button(
                f"Choose all {len(shown.order):,}", key="choose_all", type="tertiary",
                on_click=chosen.choose, args=(table, image_filter, shown.order),
            )  # fmt: skip
        st.button(
            "Clear", key="choose_none", type="tertiary", icon=":material/close:",
            on_click=chosen.cleared, args=(table, image_filter),
        )  # fmt: skip


def _verdict_buttons(table: Table, rows: np.ndarray) -> None:
    names = table.predictions.class_names
    for _, verdict, title in VERDICT_KEYS:
        if verdict == WRONG and len(names) > 2:
            st.selectbox(
                "Correct label", names, index=None, key=set_widget(_RIGHT, None),
                placeholder="Correct label: …", label_visibility="collapsed", width=180,
                on_change=_judge_wrong, args=(table, rows),
            )  # fmt: skip
        else:
            st.button(title, key=f"bulk_{verdict}", on_click=judge, args=(table, rows, verdict))
    st.button(
        "Undo", key="bulk_undo", icon=":material/undo:", on_click=undo, disabled=not _history(),
        help="Takes back the last verdicts that were given to chosen images",
    )  # fmt: skip


def judge(table: Table, rows: np.ndarray, verdict: str, right: str = "") -> None:
    """Give every chosen labelled image a verdict (callback)."""
    with show_user_errors():
        if right:
            label = table.predictions.class_names.index(right)
            rows = rows[table.predictions.y_true[rows] != label]
        made = judgements(table, rows, {"verdict": verdict, "label": right})
        said = say_all(made)
        if said:
            st.session_state[_HISTORY] = [*_history(), said][-_KEPT:]
        left = len(rows) - len(said)
        text = f"{len(said):,} verdict{'s' * (len(said) != 1)} saved."
        if left:
            text += f" {left:,} image{'s have' if left > 1 else ' has'} no label."
        st.session_state[_SAID] = text
    note_change()


def undo() -> None:
    """Take back the last verdicts of `judge`, where no later one has been given (callback)."""
    with show_user_errors():
        history, known = _history(), standing()
        if not history:
            return
        last = history[-1]
        keys = [(each.sha256, each.given) for each in last if known.of(*_key(each)) == each]
        take_back_all(keys, reviewer())
        st.session_state[_HISTORY] = history[:-1]
        text = f"{len(keys):,} verdict{'s' * (len(keys) != 1)} taken back."
        st.session_state[_SAID] = text
    note_change()


def _judge_wrong(table: Table, rows: np.ndarray) -> None:
    if right := st.session_state.get(widget_key(_RIGHT)):
        judge(table, rows, WRONG, right)


def _in_order(shown: Gallery, rows: np.ndarray) -> np.ndarray:
    """Return the chosen rows as they are shown; those that are not shown any more come last."""
    seen = shown.order[np.isin(shown.order, rows)]
    return np.concatenate([seen, np.setdiff1d(rows, seen)])


def _key(verdict: Verdict) -> tuple[str, str]:
    return verdict.sha256, verdict.given


def _history() -> list[list[Verdict]]:
    found: list[list[Verdict]] = st.session_state.get(_HISTORY, [])
    return found
