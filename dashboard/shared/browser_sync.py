"""What a browser sends and what it has received: their messages cross.

A person may be faster than the server. A message that carries several things names one fragment of
the page, a widget repeats its older value until it has drawn the newer one, and of the triggers
that a component sends while a script runs the newest alone is kept; none of it may be lost.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

_CHANGED, _LAST_MESSAGE = "page_changed", "last_message"


def set_widget(name: str, value: Any) -> str:
    """Set a widget, before it is drawn, to what the page shows; return its key.

    Until a browser has drawn what was set, its messages repeat the older value, which Streamlit
    would take for a choice. So where the two differ the widget gets another key, under which no
    browser has sent anything yet.
    """
    if st.session_state.get(widget_key(name), value) != value:
        st.session_state[f"{name}_count"] = st.session_state.get(f"{name}_count", 0) + 1
    st.session_state[widget_key(name)] = value
    return widget_key(name)


def widget_key(name: str) -> str:
    """Return the key under which a widget that `set_widget` sets is drawn."""
    count = st.session_state.get(f"{name}_count", 0)
    return f"{name}_{count}" if count else name


def note_change() -> None:
    """Note that the page shows something else from now on (for callbacks)."""
    st.session_state[_CHANGED] = True


def note_redraw() -> None:
    """Note that all that may have changed is being drawn."""
    st.session_state.pop(_CHANGED, None)


def rerun_if_changed() -> None:
    """Draw the whole page where a callback changed it and only a fragment of it is run.

    A browser sends what happens at one moment as one message, which names one fragment alone: the
    first (``scheduleFlush`` in Streamlit's ``WidgetStateManager.ts``).
    """
    if st.session_state.pop(_CHANGED, False):
        st.rerun()


def component_value(widget: str, event: str) -> Any:
    """Return what a component sent with this run, or None."""
    value = st.session_state.get(widget)
    return None if value is None else value.get(event)


def new_messages(widget: str) -> list[dict[str, Any]]:
    """Return the messages of a component that were not received before, oldest first.

    It numbers its messages under ``n`` and repeats them until `last_message` confirms them.
    """
    sent = component_value(widget, "messages")
    messages = [each for each in sent if isinstance(each, dict)] if isinstance(sent, list) else []
    last = last_message()
    new = [each for each in messages if isinstance(n := each.get("n"), int) and n > last]
    st.session_state[_LAST_MESSAGE] = max([last, *(each["n"] for each in new)])
    return new


def last_message() -> int:
    """Return the number of the last message received in this session, 0 for none."""
    number: int = st.session_state.get(_LAST_MESSAGE, 0)
    return number


def selected_row(widget: str) -> int | None:
    """Return the row selected in a table, or None."""
    value = st.session_state.get(widget)
    selected = [] if value is None else value["selection"]["rows"]
    return selected[0] if selected else None
