"""Which labelled images a page is about: those held out, or all of them out of fold."""

from __future__ import annotations

import streamlit as st

from dashboard.selection import image_filter as address
from dashboard.shared import browser_sync, tables
from dashboard.shared.tables import Table
from engine.runs.run import open_run


def labelled(name: str) -> Table:
    """Return the labelled predictions that the person looks at."""
    return tables.table(name, address.looked_at(open_run(name).labelled_split))


def switch(name: str) -> None:
    """Let the person choose, where a run has both."""
    if open_run(name).labelled_split == "valid":
        return
    said = {
        split: f"{what} ({len(tables.table(name, split)):,})"
        for split, what in (("valid", "Held out"), ("folds", "All, out of fold"))
    }
    st.segmented_control(
        "Labelled images", list(said), format_func=said.__getitem__, required=True,
        key=browser_sync.key(address.ON_WIDGET), on_change=address.on_changed,
        label_visibility="collapsed",
    )  # fmt: skip
