"""What a browser says and what it has heard of: their messages cross.

A person may be faster than the server. A message that carries several things names one fragment of
the page, a widget repeats its older value until it has drawn the newer one, and of the triggers
that a component sends while a script runs the newest alone is kept; none of it may be lost.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

_BEHIND, _HEARD = "page_behind", "last_heard"


def put(name: str, value: Any) -> str:
    """Set a widget, before it is drawn, to what the page shows; return its key.

    Until a browser has drawn what was set, its messages repeat the older value, which Streamlit
    would take for a choice. So where the two differ the widget gets another key, under which no
    browser has said anything yet.
    """
    if st.session_state.get(key(name), value) != value:
        st.session_state[f"{name}_count"] = st.session_state.get(f"{name}_count", 0) + 1
    st.session_state[key(name)] = value
    return key(name)


def key(name: str) -> str:
    """Return the key under which a widget that `put` sets is drawn."""
    count = st.session_state.get(f"{name}_count", 0)
    return f"{name}_{count}" if count else name


def changed() -> None:
    """Note that the page shows something else from now on (for callbacks)."""
    st.session_state[_BEHIND] = True


def caught_up() -> None:
    """Note that all that may have changed is being drawn."""
    st.session_state.pop(_BEHIND, None)


def catch_up() -> None:
    """Draw the whole page where a callback changed it and only a fragment of it is run.

    A browser sends what happens at one moment as one message, which names one fragment alone: the
    first (``scheduleFlush`` in Streamlit's ``WidgetStateManager.ts``).
    """
    if st.session_state.pop(_BEHIND, False):
        st.rerun()


def sent(widget: str, event: str) -> Any:
    """Return what a component sent with this run, or None."""
    value = st.session_state.get(widget)
    return None if value is None else value.get(event)


def unheard(widget: str) -> list[dict[str, Any]]:
    """Return what a component said since it was last heard, oldest first (for callbacks).

    It numbers its words under ``n`` and says them again until `heard` tells it to leave off.
    """
    said = sent(widget, "said")
    words = [word for word in said if isinstance(word, dict)] if isinstance(said, list) else []
    new = [word for word in words if isinstance(n := word.get("n"), int) and n > heard()]
    st.session_state[_HEARD] = max([heard(), *(word["n"] for word in new)])
    return new


def heard() -> int:
    """Return the number of the last word that was heard in this session, 0 for none."""
    number: int = st.session_state.get(_HEARD, 0)
    return number


def chosen_row(widget: str) -> int | None:
    """Return the row chosen in a table, or None."""
    value = st.session_state.get(widget)
    chosen = [] if value is None else value["selection"]["rows"]
    return chosen[0] if chosen else None
