"""Sends the next page of the gallery and the next enlarged image to the browser in advance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.gallery.gallery import tile_data
from dashboard.shared.component import registered

_prefetch = registered(__file__, '<div class="prefetch"></div>')


def prefetch(
    page: str,
    tiles: Sequence[dict[str, Any]] | None,
    following: str,
    large: dict[str, Any] | None,
    *,
    key: str,
    wanted: Callable[[], None],
) -> None:
    """Send a page of tiles, and an image, to the browser for use when they are turned to.

    Parameters
    ----------
    page, following : the names of that page, and of the image in the large view, or ''
    tiles, large : None until the browser requests ``page`` or ``following`` at ``key`` under
        ``want``
    """
    data: dict[str, Any] = {"page": page, "following": following, "large": large}
    if tiles is not None:
        data |= tile_data(tiles)
    _prefetch(key=key, data=data, height="content", on_want_change=wanted)
