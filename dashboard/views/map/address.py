"""The address of the Map page: the method and the selected area."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.selection.lasso import Lasso, lasso_of, read_lasso
from dashboard.selection.unknown import unknown_value
from dashboard.shared import commands
from dashboard.shared.browser_sync import component_value, note_change, set_widget, widget_key
from engine.runs import maps
from engine.runs.run import Run

METHOD = "map_method"
_BY, _AREA, _POINT, _IMAGE = "by", "map", "map_point", "map_image_row"


def method() -> str:
    """Return the method of the address or of its area, by default PCA, and set the switch to it."""
    found = read_lasso(st.query_params.get(_AREA, ""))
    asked = st.query_params.get(_BY) or (found.method if found else "")
    chosen = asked if asked in maps.METHODS else maps.METHODS[0]
    if asked and asked != chosen:
        unknown_value(_BY, asked, f"choose from {', '.join(maps.METHODS)}")
    if (text := st.query_params.get(_AREA)) and not found:
        unknown_value(_AREA, text, "it is not an area of the map")
    set_widget(METHOD, chosen)
    return str(chosen)


def method_changed() -> None:
    """Store the method of the switch and clear the area (callback)."""
    st.query_params[_BY] = st.session_state[widget_key(METHOD)]
    note_change()
    st.query_params.pop(_AREA, None)


def area() -> str:
    """Return the area's text from the address, or ''."""
    text = st.query_params.get(_AREA, "")
    return text if read_lasso(text) else ""


def lasso(method: str) -> Lasso | None:
    """Return the area drawn on the map of this method, or None."""
    found = read_lasso(area())
    return found if found and found.method == method else None


def area_drawn(method: str) -> None:
    """Store the selected area (callback)."""
    found = lasso_of(method, component_value("lasso", "question"))
    if found:
        st.query_params[_AREA] = found.text
        note_change()


def point_clicked() -> None:
    """Store the clicked point (callback)."""
    st.session_state[_POINT] = component_value("point", "question")
    note_change()


def clicked() -> Any:
    """Return the row of the clicked point, once, or None."""
    return st.session_state.pop(_POINT, None)


def set_image(tag: str, row: int) -> None:
    """Enlarge the image of a point of the map with this tag."""
    st.session_state[_IMAGE] = tag, row


def image(tag: str) -> int | None:
    """Return the row of the enlarged image of the map with this tag, or None."""
    shown, row = st.session_state.get(_IMAGE, (None, None))
    return row if shown == tag else None


def image_closed() -> None:
    """Close the viewer (callback)."""
    st.session_state.pop(_IMAGE, None)
    note_change()


def clear() -> None:
    """Clear the area (callback)."""
    st.query_params.pop(_AREA, None)


def try_again(run: Run, method: str) -> None:
    """Start a failed map again (callback)."""
    commands.start_map(run, method)


def is_row(value: Any, n: int) -> bool:
    """Return whether a value from the browser is one of n rows."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n
