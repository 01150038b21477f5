"""Draws every image as a point on a canvas, with zoom, dragging, previews and a lasso."""

from __future__ import annotations

from typing import Any

from dashboard.selection.lasso import GRID, MOST_CORNERS
from dashboard.shared.component import registered
from dashboard.views.map.data import NONE

_scatter = registered(
    __file__, '<div class="map"></div>', NONE=NONE, MOST_CORNERS=MOST_CORNERS, GRID=GRID
)


def scatter(packed: dict[str, Any], *, key: str) -> None:
    """Show a map.

    The script sends requests through event bridges: the thumbnail of the row under the pointer on
    the channel ``peek`` (answered by row and src), an area on ``lasso`` (a list of [x, y] on the
    grid; the corners of the answer are drawn), and the row of an image to open on ``point``.

    Parameters
    ----------
    packed : tag (the same for the same content), n, names (of classes), splits (their
        names), ids (joined by U+001F), and base64 of little-endian xy (uint16 pairs), split
        (uint8), label and predicted (uint16, ``NONE`` for none) and loss (float32, nan for none)
    """
    _scatter(key=key, data=packed, height="content")
