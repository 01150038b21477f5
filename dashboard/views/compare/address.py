"""The Compare page's address: the other run, the group of images, page and enlarged image."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.selection.image_filter import IMAGE_NAMES
from dashboard.selection.run import RUN, run_name
from dashboard.selection.unknown import unknown_page, unknown_value
from dashboard.shared.browser_sync import component_value, set_widget, widget_key

OTHER, PART, PAGE, NAME = "compare_with", "compare_part", "compare_page", "blend_name"
PARTS = ("fixed", "broken", "both-wrong", "both-right")
_WITH, _SHOW, _PAGE, _IMAGE = "with", "pictures", "page", IMAGE_NAMES[0]


def other(names: Sequence[str]) -> str:
    """Return the other run from the address, by default the first of these."""
    asked = st.query_params.get(_WITH)
    chosen = asked if asked and asked in names else names[0]
    if asked and asked != chosen:
        unknown_value(_WITH, asked, "no other finished run has this name")
    elif not asked:
        st.query_params[_WITH] = chosen
    set_widget(OTHER, chosen)
    return chosen


def part(counts: dict[str, int]) -> str:
    """Return the group of images to show, by default broken, else fixed."""
    asked = st.query_params.get(_SHOW)
    filled = [name for name in ("broken", "fixed", "both-wrong", "both-right") if counts[name]]
    chosen = asked if asked and asked in PARTS else filled[0]
    if asked and asked not in PARTS:
        unknown_value(_SHOW, asked, f"choose from {', '.join(PARTS)}")
    set_widget(PART, chosen)
    return chosen


def page(pages: int, opened: int | None) -> int:
    """Return the page, from 1, or the page of the image ``opened``; set the switch to it."""
    if not opened:
        unknown_page(pages)
    text = st.query_params.get(_PAGE, "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
    shown = opened or min(max(number, 1), pages)
    set_widget(PAGE, shown)
    return shown


def image() -> str:
    """Return the id of the enlarged image, or ''."""
    return next((st.query_params[name] for name in IMAGE_NAMES if st.query_params.get(name)), "")


def other_changed() -> None:
    """Select the other run of the picker (callback)."""
    _write({_WITH: st.session_state[widget_key(OTHER)]})


def part_changed() -> None:
    """Show the first page of another group of images (callback)."""
    _write({_WITH: st.session_state[widget_key(OTHER)], _SHOW: st.session_state[widget_key(PART)]})


def part_picked(part: str) -> None:
    """Show the first page of a group of images (callback)."""
    _write({_WITH: st.session_state[widget_key(OTHER)], _SHOW: part})


def page_changed() -> None:
    """Turn to the page of the page switch (callback)."""
    _turn(int(st.session_state[widget_key(PAGE)]))


def page_turned(widget: str, pages: int) -> None:
    """Turn the page as requested by the gallery (callback)."""
    step = component_value(widget, "turn")
    if step in (-1, 1):
        _turn(min(max(int(st.session_state[widget_key(PAGE)]) + step, 1), pages))


def image_opened(widget: str) -> None:
    """Enlarge the image whose id a component sent, or close the viewer (callback)."""
    _forget_image()
    st.query_params[_PAGE] = str(st.session_state[widget_key(PAGE)])
    if opened := component_value(widget, "open"):
        st.query_params[_IMAGE] = str(opened)


def _forget_image() -> None:
    for name in IMAGE_NAMES:
        st.query_params.pop(name, None)


def _turn(number: int) -> None:
    _forget_image()
    st.query_params[_PAGE] = str(number)


def _write(values: dict[str, str]) -> None:
    st.query_params.from_dict({RUN: run_name() or "", **values})
