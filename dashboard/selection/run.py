"""The selected run: what the address says, and the run picker that is set to it.

The address is the truth: a widget's callback writes the address, and every run of a page reads it
and sets its widgets to it. (Widgets bound to the address cannot share it with parameters that code
writes: a write sends the server's copy, which lacks what bound widgets changed.)
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.shared.browser_sync import note_change, set_widget, widget_key

RUN = "run"
RUN_WIDGET = "run_picker"
_SELECTED = "selected_run"


def run_name() -> str | None:
    """Return the name of the selected run, or None when there is no finished run."""
    selected: str | None = st.session_state.get(_SELECTED)
    return selected


def select_run(names: Sequence[str]) -> str | None:
    """Return the selected run, newest unless the address or this session says otherwise.

    The address is completed, so that a copied link means the same run tomorrow.
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
    """Take over what the run picker says (a callback)."""
    selected = st.session_state[widget_key(RUN_WIDGET)]
    note_change()
    st.session_state[_SELECTED] = selected
    st.query_params.from_dict({RUN: selected})
