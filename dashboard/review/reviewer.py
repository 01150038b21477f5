"""The reviewer's name in this session."""

from __future__ import annotations

import streamlit as st

REVIEWER = "reviewer"
_KEPT = "reviewer_kept"  # Streamlit discards the values of widgets that are not shown


def reviewer() -> str:
    """Return the reviewer's name, '' if none was entered."""
    return str(st.session_state.get(_KEPT, ""))


def set_reviewer_box() -> None:
    """Set the text field to the reviewer's name before it is drawn."""
    st.session_state[REVIEWER] = reviewer()


def reviewer_named() -> None:
    """Store the reviewer's name (callback of the text field)."""
    st.session_state[_KEPT] = st.session_state[REVIEWER].strip()[:100]
