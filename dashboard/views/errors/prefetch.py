"""Sends the next page of the gallery to the browser in advance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.shared.component import registered

_prefetch = registered(__file__, '<div class="prefetch"></div>')


def prefetch(
    page: str, tiles: Sequence[dict[str, Any]] | None, *, key: str, wanted: Callable[[], None]
) -> None:
    """Send a page of tiles to the browser for use when the gallery turns to it.

    Parameters
    ----------
    page : the gallery's name of that page, or ''
    tiles : None until the browser requests ``page`` at ``key`` under ``want``
    """
    data = {"page": page, "tiles": None if tiles is None else list(tiles)}
    _prefetch(key=key, data=data, height="content", on_want_change=wanted)
