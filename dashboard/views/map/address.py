"""What the Map page shows: the layout and the area drawn on it, both in the address."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.selection.lasso import Lasso, lasso_of, read_lasso
from dashboard.shared import commands
from dashboard.shared.browser_sync import component_value, note_change, set_widget, widget_key
from engine.runs import maps
from engine.runs.run import Run

METHOD = "map_method"
_BY, _AREA, _POINT = "by", "map", "map_point"


def method() -> str:
    """Return the layout that the address names, that of its area, or PCA; set the switch to it."""
    found = read_lasso(st.query_params.get(_AREA, ""))
    asked = st.query_params.get(_BY) or (found.method if found else "")
    chosen = asked if asked in maps.METHODS else maps.METHODS[0]
    set_widget(METHOD, chosen)
    return str(chosen)


def method_changed() -> None:
    """Take over what the switch says (its callback); an area belongs to its own layout."""
    st.query_params[_BY] = st.session_state[widget_key(METHOD)]
    note_change()
    st.query_params.pop(_AREA, None)


def area() -> str:
    """Return the area as the address has it, '' for none."""
    text = st.query_params.get(_AREA, "")
    return text if read_lasso(text) else ""


def lasso(method: str) -> Lasso | None:
    """Return the area drawn on the map of this method, or None."""
    found = read_lasso(area())
    return found if found and found.method == method else None


def area_drawn(method: str) -> None:
    """Take over the area that was drawn (a callback)."""
    found = lasso_of(method, component_value("lasso", "question"))
    if found:
        st.query_params[_AREA] = found.text
        note_change()


def point_clicked() -> None:
    """Remember which point was clicked (a callback)."""
    st.session_state[_POINT] = component_value("point", "question")
    note_change()


def clicked() -> Any:
    """Return the row of the point that was clicked, once; None for none."""
    return st.session_state.pop(_POINT, None)


def clear() -> None:
    """Forget the area (a callback)."""
    st.query_params.pop(_AREA, None)


def try_again(run: Run, method: str) -> None:
    """Start a map that failed once more (a callback)."""
    commands.start_map(run, method)


def is_row(value: Any, n: int) -> bool:
    """Tell whether a browser named one of n rows."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n
