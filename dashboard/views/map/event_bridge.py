"""Passes requests and answers between the map drawing and a fragment of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.shared.component import registered

_bridge = registered(__file__, '<div class="event-bridge"></div>')


def event_bridge(
    channel: str, answer: dict[str, Any], *, key: str, asked: Callable[[], None]
) -> None:
    """Forward requests of a browser channel to the server, and send back the answers.

    Only small values are sent this way; the drawing itself is sent once.

    Parameters
    ----------
    answer : sent to the listeners of the channel
    key : name of the widget; ``asked`` reads the request there under ``question``
    """
    _bridge(
        key=key,
        data={"channel": channel, "answer": answer},
        height="content",
        on_question_change=asked,
    )
