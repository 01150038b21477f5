"""A wire between a drawing that stays as it is and the part of a page that answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.shared.component import registered

_bridge = registered(__file__, '<div class="event-bridge"></div>')


def event_bridge(
    channel: str, answer: dict[str, Any], *, key: str, asked: Callable[[], None]
) -> None:
    """Pass on what is asked on a channel in the browser, and the answer to it.

    Only what is small goes through here; the drawing itself is sent once.

    Parameters
    ----------
    answer : handed to whoever listens to the channel
    key : name of the widget; ``asked`` reads the question there under ``question``
    """
    _bridge(
        key=key,
        data={"channel": channel, "answer": answer},
        height="content",
        on_question_change=asked,
    )
