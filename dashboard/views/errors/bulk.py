"""What is done with the chosen images at once: verdicts, tags, their undoing, and the CSV."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from dashboard.gallery.viewer import VERDICT_KEYS
from dashboard.review import notes
from dashboard.review.reviewer import reviewer
from dashboard.review.standing import standing
from dashboard.review.verdicts import judgements
from dashboard.selection.image_filter import ImageFilter
from dashboard.shared.browser_sync import note_change, set_widget, widget_key
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table
from dashboard.shell import show_user_errors
from dashboard.views.errors import chosen, images_csv
from dashboard.views.errors.copies import copies, note_copied
from dashboard.views.errors.data import Gallery
from engine.runs.image_notes import ImageNote
from engine.runs.verdicts import WRONG, Verdict, save_verdicts, undo_verdicts

_HISTORY, _RIGHT, _SAID = "bulk_history", "bulk_right", "bulk_said"
_ADD, _REMOVE = "bulk_tag", "bulk_untag"
_KEPT = 50  # steps that can be undone


@dataclass(frozen=True)
class Step:
    """What can be undone: verdicts that were given, or tags before and after a change."""

    verdicts: tuple[Verdict, ...] = ()
    before: tuple[ImageNote, ...] = ()
    after: tuple[ImageNote, ...] = ()


def bar(shown: Gallery, image_filter: ImageFilter, rows: np.ndarray) -> None:
    """Show what can be done with the chosen images, at the lower edge of the window."""
    if said := st.session_state.pop(_SAID, ""):
        st.toast(literal(said))
    note_copied()
    if not len(rows):
        return
    table = shown.table
    with st.container(horizontal=True, vertical_alignment="center", key="chosen"):
        st.markdown(f"**{len(rows):,}** chosen", width="content")
        if (table.predictions.y_true[rows] >= 0).any():
            _verdict_buttons(table, rows)
        _tags(table, rows)
        st.button(
            "Undo", key="bulk_undo", icon=":material/undo:", on_click=undo, disabled=not _history(),
            help="Undoes the last change of verdicts or tags of chosen images",
        )  # fmt: skip
        st.download_button(
            "CSV", partial(images_csv.csv_of, table, _in_order(shown, rows)),
            f"{table.key[0]}-chosen.csv", "text/csv", icon=":material/download:",
            key="chosen_csv", on_click="ignore", help="The chosen images with all their data",
        )  # fmt: skip
        copies(table, _in_order(shown, rows))
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
            st.button(
                title, key=f"bulk_{verdict}", on_click=judge, args=(table, rows, verdict),
                help="Takes the other class as each image's label" if verdict == WRONG else None,
            )  # fmt: skip


def _tags(table: Table, rows: np.ndarray) -> None:
    """Draw the fields that add a tag to the chosen images, or remove one."""
    with st.popover("Tags", icon=":material/label:"):
        for name, label, tags in (
            (_ADD, "Add a tag", notes.known_tags()),
            (_REMOVE, "Remove a tag", notes.tags_on(table, rows)),
        ):
            st.selectbox(
                label, tags, index=None, key=set_widget(name, None), placeholder="Tag",
                accept_new_options=name == _ADD, on_change=tag, args=(table, rows, name),
                disabled=name == _REMOVE and not tags,
            )  # fmt: skip


def judge(table: Table, rows: np.ndarray, verdict: str, right: str = "") -> None:
    """Give every chosen labelled image a verdict (callback)."""
    with show_user_errors():
        if right:
            label = table.predictions.class_names.index(right)
            rows = rows[table.predictions.y_true[rows] != label]
        made = judgements(table, rows, {"verdict": verdict, "label": right})
        said = save_verdicts(made)
        if said:
            _remember(Step(verdicts=tuple(said)))
        left = len(rows) - len(said)
        text = f"{len(said):,} verdict{'s' * (len(said) != 1)} saved."
        if left:
            text += f" {left:,} image{'s have' if left > 1 else ' has'} no label."
        st.session_state[_SAID] = text
    note_change()


def tag(table: Table, rows: np.ndarray, name: str) -> None:
    """Add the tag that a field names to the chosen images, or remove it (callback)."""
    text = st.session_state.get(widget_key(name))
    if not text:
        return
    with show_user_errors():
        before, after = notes.change(table, rows, lambda note: note.with_tag(text, on=name == _ADD))
        if before:
            _remember(Step(before=tuple(before), after=tuple(after)))
        done = "tagged" if name == _ADD else "untagged"
        st.session_state[_SAID] = f"{len(before):,} image{'s' * (len(before) != 1)} {done}."
    note_change()


def undo() -> None:
    """Undo the last change, unless a later one has been made (callback)."""
    with show_user_errors():
        history, known = _history(), standing()
        if not history:
            return
        last = history[-1]
        if last.verdicts:
            keys = [_key(each) for each in last.verdicts if known.of(*_key(each)) == each]
            undo_verdicts(keys, reviewer())
            text = f"{len(keys):,} verdict{'s' * (len(keys) != 1)} undone."
        else:
            count = notes.restore(last.before, last.after)
            text = f"The earlier tags of {count:,} image{'s' * (count != 1)} are restored."
        st.session_state[_HISTORY] = history[:-1]
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


def _remember(step: Step) -> None:
    st.session_state[_HISTORY] = [*_history(), step][-_KEPT:]


def _history() -> list[Step]:
    found: list[Step] = st.session_state.get(_HISTORY, [])
    return found
