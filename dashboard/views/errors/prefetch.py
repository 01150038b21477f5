"""The next page of the gallery, fetched while a person looks at this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.shared.component import registered

_prefetch = registered(__file__, '<div class="prefetch"></div>')


def prefetch(
    page: str, tiles: Sequence[dict[str, Any]] | None, *, key: str, wanted: Callable[[], None]
) -> None:
    """Hand a page of tiles to the browser, to be shown when the gallery turns to it.

    Parameters
    ----------
    page : what the gallery calls that page, '' for none
    tiles : None until the browser asks; then ``page`` is read under ``want`` at ``key``
    """
    data = {"page": page, "tiles": None if tiles is None else list(tiles)}
    _prefetch(key=key, data=data, height="content", on_want_change=wanted)
