"""Heat maps of the enlarged image, and the most similar training images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.shared.component import registered

_explanation = registered(__file__, '<div class="explanation-host"></div>')


def explanation(
    data: dict[str, Any],
    *,
    key: str,
    wanted: Callable[[], None],
    opened: Callable[[], None] = lambda: None,
    computed: Callable[[], None] = lambda: None,
    runs: Sequence[str] = (),
) -> None:
    """Fill the explanation section of the viewer when the user requests it.

    Parameters
    ----------
    data : empty until requested; then id, state (looking, found, failed), maps (name, role, src,
        '' if there is no evidence for the class), neighbours (id, label, other, distance, src,
        known), about, a sentence to show, and missing, None or what to say where features are
        missing (text, button, running); failed has a message; of two runs, maps (name, and panes:
        src and text)
    key : name of the widget; ``wanted`` reads the id of the image to explain there under ``want``,
        ``opened`` that of a neighbour to open under ``neighbour``; ``computed`` starts computing
        the missing features
    runs : names of the two runs whose heat maps are shown side by side
    """
    _explanation(
        key=key,
        data={**data, "runs": list(runs)},
        height="content",
        on_want_change=wanted,
        on_neighbour_change=opened,
        on_compute_change=computed,
    )
