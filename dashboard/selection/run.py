"""The selected run, which the address determines, and the run picker.

A widget's callback writes the address, and every run of a page reads the address and sets its
widgets to it. (Streamlit's widgets bound to the address cannot be combined with parameters that
code writes: such a write sends the server's copy, without recent changes of bound widgets.)
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.shared.browser_sync import note_change, set_widget, widget_key

RUN = "run"
RUN_WIDGET = "run_picker"
_SELECTED = "selected_run"


def run_name() -> str | None:
    """Return the name of the selected run, or None if there is no finished run."""
    selected: str | None = st.session_state.get(_SELECTED)
    return selected


def select_run(names: Sequence[str]) -> str | None:
    """Return the selected run, by default the newest one.

    The run is added to the address, so that a copied link always opens the same run.
    """
    if not names:
        st.session_state[_SELECTED] = None
        return None
    asked = st.query_params.get(RUN)
    selected = next((name for name in (asked, run_name()) if name in names), None) or names[0]
    if asked != selected:
        st.query_params[RUN] = selected
    st.session_state[_SELECTED] = selected
    set_widget(RUN_WIDGET, selected)
    return selected


def run_picked() -> None:
    """Select the run of the run picker (callback)."""
    selected = st.session_state[widget_key(RUN_WIDGET)]
    note_change()
    st.session_state[_SELECTED] = selected
    st.query_params.from_dict({RUN: selected})


def show_run(name: str) -> None:
    """Select a run by the address alone; before anything is drawn."""
    st.query_params.from_dict({RUN: name})
