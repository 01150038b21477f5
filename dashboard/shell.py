"""The frame around every page: settings, styles, the run picker and error messages."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from dashboard.selection.image_filter import forget_filter
from dashboard.selection.manage import can_be_managed, in_order, manage_button
from dashboard.selection.moved import moved_banner
from dashboard.selection.run import RUN_WIDGET, run_picked, select_run
from dashboard.selection.unknown import unknown_run
from dashboard.shared import tables
from dashboard.shared.browser_sync import note_redraw, widget_key
from dashboard.shared.escape import error_text, literal
from dashboard.shared.tables import RunSummary
from dashboard.shortcuts import shortcuts
from engine.errors import UserError
from engine.runs.run_bin import deleted_runs

# A Material icon here would be loaded from another host.
_DAMAGED = 3  # runs that are named
_PAGE, _ARRIVED = "shown_page", "just_arrived"
_ICON = Path(__file__).with_name("icon.svg")


def show(pages: Sequence[Page]) -> None:
    st.set_page_config(page_title="Second Look", page_icon=str(_ICON), layout="wide")
    page = st.navigation(list(pages), position="top")
    _note_page(page.title)
    names = [each.url_path for each in pages if each.url_path]
    with show_user_errors():
        shortcuts.go(names)
        every = tables.summaries()
        if pick_run(every):
            done = [run for run in every if run.state == "done"]
            shortcuts.shortcuts(page.url_path, names, done)
            page.run()
    _settle()


@contextmanager
def show_user_errors() -> Iterator[None]:
    """Show a user error as its sentence; used for the page and for fragments that run alone."""
    try:
        yield
    except UserError as error:
        st.error(error_text(error), icon=":material/error:")


def home() -> None:
    """Open the Overview page."""
    st.switch_page("views/overview/page.py", query_params=st.query_params.to_dict())


def pick_run(every: Sequence[RunSummary]) -> bool:
    """Show the run picker if there is a finished run; return whether the page can be shown."""
    runs = [run for run in every if run.state == "done"]
    names = [run.name for run in runs]
    _note_damaged([run for run in every if run.reason])
    deleted = {run.name: "deleted" for run in deleted_runs()}
    if unknown_run(names, deleted | {run.name: run.state for run in every}):
        return False
    selected = select_run(names)
    if selected is None:
        if can_be_managed(every):
            manage_button(None, every)
        return True
    count = Counter(run.line for run in runs)
    lines = {
        run.name: run.line if count[run.line] == 1 else f"{run.line} · {run.name}" for run in runs
    }
    with st.container(horizontal=True, key="picker"):
        st.selectbox(
            "Run",
            [run.name for run in in_order(runs)],
            key=widget_key(RUN_WIDGET),
            format_func=lines.__getitem__,
            on_change=_run_picked,
            label_visibility="collapsed",
        )
        manage_button(selected, every)
    moved_banner(selected)
    return True


def _note_damaged(runs: list[tables.RunSummary]) -> None:
    """Say which runs cannot be read, and why; all others are shown."""
    lines = [literal(f"{run.name} is damaged: {run.reason}") for run in runs[:_DAMAGED]]
    if len(runs) > _DAMAGED:
        lines.append(
            f"{len(runs) - _DAMAGED:,} more runs are damaged; `second-look runs` shows why."
        )
    if lines:
        st.caption("  \n".join(lines))


def just_arrived() -> bool:
    """Return, once, whether the user has come from another page."""
    return bool(st.session_state.pop(_ARRIVED, False))


def _note_page(title: str) -> None:
    note_redraw()
    st.session_state[_ARRIVED] = st.session_state.get(_PAGE) != title
    st.session_state[_PAGE] = title


def _run_picked() -> None:
    forget_filter()  # another run starts unfiltered
    run_picked()


@st.cache_resource
def _settle() -> bool:
    """Exclude objects of the first script run from garbage collection, once per process."""
    gc.collect()
    gc.freeze()
    return True
