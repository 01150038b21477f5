"""Saved views: names for what is shown, to open it again."""

from __future__ import annotations

import streamlit as st

from dashboard.selection.image_filter import ImageFilter
from dashboard.selection.views import open_view, saved_views, view_of
from dashboard.shared.browser_sync import note_change, set_widget, widget_key
from dashboard.shared.escape import literal
from dashboard.shell import show_user_errors
from engine.runs.run_list import open_run
from engine.runs.saved_views import MOST_NAME_LETTERS, View, delete_view, save_view

_NAME, _SAID = "view_name", "view_said"


def views(run: str, image_filter: ImageFilter) -> None:
    """Draw the run's views, each with a button that deletes it, and a field that saves one."""
    if said := st.session_state.pop(_SAID, ""):
        st.toast(literal(said))
    with st.popover("Views", icon=":material/bookmark:", key="views"):
        for number, (name, view) in enumerate(saved_views(run).items()):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    literal(name), key=f"view_{number}", type="tertiary", width="stretch",
                    on_click=open_view, args=(run, view),
                )  # fmt: skip
                st.button(
                    "Delete", key=f"view_delete_{number}", icon=":material/delete:",
                    type="tertiary", on_click=_delete, args=(run, name),
                )  # fmt: skip
        st.text_input(
            "Save this view as", key=set_widget(_NAME, ""), max_chars=MOST_NAME_LETTERS,
            placeholder="Name, then Enter", on_change=_save,
            args=(run, view_of(image_filter)),
        )  # fmt: skip


def _save(run: str, view: View) -> None:
    if not (name := st.session_state.get(widget_key(_NAME), "")):
        return
    note_change()
    with show_user_errors():
        st.session_state[_SAID] = f"Saved as “{save_view(open_run(run), name, view)}”."


def _delete(run: str, name: str) -> None:
    note_change()
    with show_user_errors():
        delete_view(open_run(run), name)
        st.session_state[_SAID] = f"The view “{name}” is deleted."
