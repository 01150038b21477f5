"""The selected labelled images: validation images, or all of them with out-of-fold predictions."""

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
    """Return the selected labelled predictions."""
    return tables.table(name, selected_split(open_run(name).labelled_split))


def selected_split(largest: str) -> str:
    """Return the selected split, "valid" or "folds", and set the switch to it.

    ``largest`` names the larger table of the run. If it is "folds", the address or this session
    may select "valid" instead.
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
    """Show a switch between the two splits if the run has both."""
    if open_run(name).labelled_split == "valid":
        return
    titles = {
        split: f"{title} ({len(tables.table(name, split)):,})"
        for split, title in (("valid", "Validation"), ("folds", "All labelled (cross-validated)"))
    }
    st.segmented_control(
        "Labelled images", list(titles), format_func=titles.__getitem__, required=True,
        key=widget_key(_WIDGET), on_change=_switched, label_visibility="collapsed",
    )  # fmt: skip


def standing_parameters() -> dict[str, str]:
    """Return the parameters of every address: the run, and the split unless it is the default."""
    on = {_SPLIT: "valid"} if st.query_params.get(_SPLIT) == "valid" else {}
    return {RUN: run_name() or "", **on}


def _switched() -> None:
    selected = st.session_state[_SELECTED] = st.session_state[widget_key(_WIDGET)]
    note_change()
    for name in ("page", "picture", "image"):
        st.query_params.pop(name, None)
    _write(selected)


def _write(selected: str) -> None:
    """Write the split to the address; the default is omitted."""
    if selected == "valid" and st.query_params.get(_SPLIT) != "valid":
        st.query_params[_SPLIT] = "valid"
    elif selected != "valid" and _SPLIT in st.query_params:
        del st.query_params[_SPLIT]
