"""What spoke for a class in the image shown large, and the training images most like it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboard.shared.component import registered

_why = registered(__file__, '<div class="why"></div>')


def why(
    data: dict[str, Any],
    *,
    key: str,
    wanted: Callable[[], None],
    opened: Callable[[], None],
) -> None:
    """Fill the large view's place for it, once a person asks there.

    Parameters
    ----------
    data : empty until asked; then id, state (looking, found, failed), maps (name, role, src, ''
        where nothing spoke for the class), neighbours (id, label, other, distance, src, known)
        and word, a sentence to say
    key : name of the widget; ``wanted`` reads the id of the image asked about there under
        ``want``, ``opened`` that of a neighbour to open under ``near``
    """
    _why(
        key=key,
        data=data,
        height="content",
        on_want_change=wanted,
        on_near_change=opened,
    )
