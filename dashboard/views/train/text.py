"""Renders the grid of example images as HTML; all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shared.escape import literal_html


def image_grid(images: Sequence[tuple[str, str]]) -> str:
    """Return a grid of (data URI, caption)."""
    cells = "".join(
        "<figure>"
        + (f'<img src="{src}" alt="">' if src else '<div class="lost"></div>')
        + f'<figcaption title="{literal_html(caption)}">{literal_html(caption)}</figcaption>'
        + "</figure>"
        for src, caption in images
    )
    return f'<div class="sl-grid">{cells}</div>'
