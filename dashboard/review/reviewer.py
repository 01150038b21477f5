"""Who gives verdicts in this session."""

from __future__ import annotations

import streamlit as st

REVIEWER = "reviewer"
_KEPT = "reviewer_kept"  # Streamlit forgets boxes that are not shown


def reviewer() -> str:
    """Return who gives verdicts, '' until somebody says."""
    return str(st.session_state.get(_KEPT, ""))


def set_reviewer_box() -> None:
    """Set the box, before it is drawn, to who gives verdicts."""
    st.session_state[REVIEWER] = reviewer()


def reviewer_named() -> None:
    """Remember who gives verdicts (the box's callback)."""
    st.session_state[_KEPT] = st.session_state[REVIEWER].strip()[:100]
