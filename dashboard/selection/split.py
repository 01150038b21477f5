"""Which labelled images a page is about: those held out, or all of them out of fold."""

from __future__ import annotations

import streamlit as st

from dashboard.selection.run import RUN, run_name
from dashboard.shared import tables
from dashboard.shared.browser_sync import note_change, set_widget, widget_key
from dashboard.shared.tables import Table
from engine.runs.run import open_run

_SPLIT, _WIDGET = "on", "split_picker"
_SELECTED = "selected_split"


def labelled(name: str) -> Table:
    """Return the labelled predictions that the person looks at."""
    return tables.table(name, selected_split(open_run(name).labelled_split))


def selected_split(largest: str) -> str:
    """Return which labelled images are looked at, "valid" or "folds".

    ``largest`` names the larger table of the run; where it is "folds", the address or this session
    may say otherwise, and the switch is set.
    """
    if largest == "valid":
        return largest
    asked = st.query_params.get(_SPLIT)
    selected: str = st.session_state.get(_SELECTED, largest)
    if asked is not None and asked in ("valid", largest):
        selected = asked
    st.session_state[_SELECTED] = selected
    set_widget(_WIDGET, selected)
    _write(selected)
    return selected


def switch(name: str) -> None:
    """Let the person choose, where a run has both."""
    if open_run(name).labelled_split == "valid":
        return
    titles = {
        split: f"{title} ({len(tables.table(name, split)):,})"
        for split, title in (("valid", "Held out"), ("folds", "All, out of fold"))
    }
    st.segmented_control(
        "Labelled images", list(titles), format_func=titles.__getitem__, required=True,
        key=widget_key(_WIDGET), on_change=_switched, label_visibility="collapsed",
    )  # fmt: skip


def standing_parameters() -> dict[str, str]:
    """Return what every address says: the run, and which images, unless it is all."""
    on = {_SPLIT: "valid"} if st.query_params.get(_SPLIT) == "valid" else {}
    return {RUN: run_name() or "", **on}


def _switched() -> None:
    selected = st.session_state[_SELECTED] = st.session_state[widget_key(_WIDGET)]
    note_change()
    for name in ("page", "picture"):
        st.query_params.pop(name, None)
    _write(selected)


def _write(selected: str) -> None:
    """Write the split into the address; all images are understood."""
    if selected == "valid" and st.query_params.get(_SPLIT) != "valid":
        st.query_params[_SPLIT] = "valid"
    elif selected != "valid" and _SPLIT in st.query_params:
        del st.query_params[_SPLIT]
