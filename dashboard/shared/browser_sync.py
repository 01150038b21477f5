"""Synchronises widget values and messages between browser and server.

A user may act faster than the server responds. Streamlit then sends several events as one message
that names only one fragment of the page, repeats a widget's older value until the newer one is
drawn, and keeps only the newest of a component's triggers while a script runs. This module makes
sure that no input is lost.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

_CHANGED, _LAST_MESSAGE = "page_changed", "last_message"


def set_widget(name: str, value: Any) -> str:
    """Set a widget to a value before it is drawn, and return its key.

    Until the browser has drawn the new value, its messages repeat the older one, which Streamlit
    would treat as a choice. So if the two differ, the widget gets a new key, for which the
    browser has not sent a value yet.
    """
    if st.session_state.get(widget_key(name), value) != value:
        st.session_state[f"{name}_count"] = st.session_state.get(f"{name}_count", 0) + 1
    st.session_state[widget_key(name)] = value
    return widget_key(name)


def widget_key(name: str) -> str:
    """Return the key of a widget that `set_widget` sets."""
    count = st.session_state.get(f"{name}_count", 0)
    return f"{name}_{count}" if count else name


def note_change() -> None:
    """Note that a callback changed the content of the page."""
    st.session_state[_CHANGED] = True


def note_redraw() -> None:
    """Note that the whole page is being drawn."""
    st.session_state.pop(_CHANGED, None)


def rerun_if_changed() -> None:
    """Draw the whole page if a callback changed it but only a fragment is run.

    The browser sends simultaneous events as one message, which names only the first fragment
    (``scheduleFlush`` in Streamlit's ``WidgetStateManager.ts``).
    """
    if st.session_state.pop(_CHANGED, False):
        st.rerun()


def component_value(widget: str, event: str) -> Any:
    """Return the value that a component sent with this run, or None."""
    value = st.session_state.get(widget)
    return None if value is None else value.get(event)


def new_messages(widget: str) -> list[dict[str, Any]]:
    """Return a component's messages that were not received before, oldest first.

    The component numbers its messages under ``n`` and repeats them until they are confirmed.
    """
    sent = component_value(widget, "messages")
    messages = [each for each in sent if isinstance(each, dict)] if isinstance(sent, list) else []
    last = last_message()
    new = [each for each in messages if isinstance(n := each.get("n"), int) and n > last]
    st.session_state[_LAST_MESSAGE] = max([last, *(each["n"] for each in new)])
    return new


def last_message() -> int:
    """Return the number of the last message received in this session, or 0."""
    number: int = st.session_state.get(_LAST_MESSAGE, 0)
    return number


def selected_row(widget: str) -> int | None:
    """Return the row selected in a table, or None."""
    value = st.session_state.get(widget)
    selected = [] if value is None else value["selection"]["rows"]
    return selected[0] if selected else None
