"""Which labelled pictures a page is about: those held out, or all of them out of fold."""

from __future__ import annotations

import streamlit as st

from dashboard import heard, loaders, state
from dashboard.loaders import Table
from engine.runs.run import open_run


def labelled(name: str) -> Table:
    """Return the labelled predictions that the person looks at."""
    return loaders.table(name, state.looked_at(open_run(name).labelled_split))


def switch(name: str) -> None:
    """Let the person choose, where a run has both."""
    if open_run(name).labelled_split == "valid":
        return
    said = {
        split: f"{what} ({len(loaders.table(name, split)):,})"
        for split, what in (("valid", "Held out"), ("folds", "All, out of fold"))
    }
    st.segmented_control(
        "Labelled pictures", list(said), format_func=said.__getitem__, required=True,
        key=heard.key(state.ON_WIDGET), on_change=state.on_changed, label_visibility="collapsed",
    )  # fmt: skip
