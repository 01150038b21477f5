"""A slider for the size of the gallery's tiles; the browser keeps it."""

from __future__ import annotations

from dashboard.shared.component import registered

_tile_size = registered(
    __file__,
    '<label><span>Size</span><input type="range" min="88" max="448" step="8" '
    'aria-label="Size of the images"></label>',
)


def tile_size(key: str) -> None:
    """Show the slider; Ctrl and the mouse wheel over the gallery change the size, too."""
    _tile_size(key=key, data={}, width="content", height="content")
