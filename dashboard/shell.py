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
from dashboard.selection.run import RUN_WIDGET, run_picked, select_run
from dashboard.shared import tables
from dashboard.shared.browser_sync import note_redraw, widget_key
from dashboard.shared.escape import literal
from engine.errors import UserError

# Tabular figures everywhere; a limited width; no shift when the scroll bar appears.
# A Material icon here would be loaded from another host.
_PAGE, _ARRIVED = "shown_page", "just_arrived"
_ICON = Path(__file__).with_name("icon.svg")
_STYLE = """<style>
.stApp {font-variant-numeric: tabular-nums lining-nums;}
.stMain {scrollbar-gutter: stable;}
.stMainBlockContainer {max-width: 1320px; padding: 4.4rem 2rem 3rem;}
.figures {display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 0;
  border-block: 1px solid color-mix(in srgb, currentColor 16%, transparent);}
.figures > div {padding: 14px 18px; display: grid; gap: 1px;
  border-left: 1px solid color-mix(in srgb, currentColor 16%, transparent);}
.figures > div:first-child {border-left: 0; padding-left: 0;}
.figures span {font-size: 13px; opacity: .72;}
.figures strong {font-size: 27px; font-weight: 550; letter-spacing: -.015em; line-height: 1.25;}
.figures small {font-size: 12.5px; opacity: .72;}
.st-key-empty {padding: 16vh 0 0;}
.st-key-empty * {text-align: center;}
.stHeading h3 {padding: 10px 0 0;}
.stMainBlockContainer .stCaptionContainer {margin-top: -0.65rem;}
[data-testid="stBaseButton-primary"]:enabled, [data-testid="stBaseButton-primary"]:enabled * {
  color: light-dark(#fff, #171614);}
.stApp a:focus-visible {outline: 2px solid currentColor !important; outline-offset: 2px;
  border-radius: 6px;}
@media (max-width: 760px) {
  .stHorizontalBlock {row-gap: 1.2rem;}
  .stMainBlockContainer {padding: 4rem 0.9rem 2rem;}
  .st-key-filters .stColumn {min-width: calc(50% - 1rem);}
  .figures {grid-template-columns: 1fr 1fr;}
  .figures > div {padding: 10px 12px 10px 0; border-left: 0;}
}
</style>"""


def show(pages: Sequence[Page]) -> None:
    st.set_page_config(page_title="Second Look", page_icon=str(_ICON), layout="wide")
    st.html(_STYLE)
    page = st.navigation(list(pages), position="top")
    _note_page(page.title)
    with show_user_errors():
        pick_run()
        page.run()
    _settle()


@contextmanager
def show_user_errors() -> Iterator[None]:
    """Show a user error as its sentence; used for the page and for fragments that run alone."""
    try:
        yield
    except UserError as error:
        st.error(literal(str(error)), icon=":material/error:")


def home() -> None:
    """Open the Overview page."""
    st.switch_page("views/overview/page.py", query_params=st.query_params.to_dict())


def pick_run() -> None:
    """Show the run picker if there is a finished run."""
    runs = [run for run in tables.summaries() if run.state == "done"]
    names = [run.name for run in runs]
    if select_run(names) is None:
        return
    count = Counter(run.line for run in runs)
    lines = {
        run.name: run.line if count[run.line] == 1 else f"{run.line}  ·  {run.name}" for run in runs
    }
    st.selectbox(
        "Run",
        names,
        key=widget_key(RUN_WIDGET),
        format_func=lines.__getitem__,
        on_change=_run_picked,
        label_visibility="collapsed",
    )


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
    """Exclude objects of the first run from garbage collection, once per process."""
    gc.collect()
    gc.freeze()
    return True
