"""A grid of images that works from the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.shared.component import registered

_gallery = registered(__file__, '<div class="grid"></div><div class="turns"></div>')


def gallery(
    tiles: Sequence[dict[str, Any]],
    *,
    key: str,
    opened: Callable[[], None],
    turned: Callable[[], None] | None = None,
    turns: tuple[str, str] = ("", ""),
    page: str = "",
    following: str = "",
    strip: bool = False,
) -> None:
    """Show images with what there is to say about each.

    Parameters
    ----------
    tiles : id, src, true, predicted, outcome (correct, incorrect, unlabelled), p and loss, all
        text; verdict, what a person said of the label, '' for nothing
    key : name of the widget; ``opened`` reads the id there under ``open``
    turned : reads -1 or 1 there under ``turn``, from the buttons below or Page up and down
    turns : words on the buttons to the page before and after, '' where there is none
    page, following : what this page and the next one are called; for the prefetch
    strip : one row only
    """
    _gallery(
        key=key,
        data={"tiles": list(tiles), "turns": list(turns), "strip": strip}
        | {"page": page, "following": following},
        on_open_change=opened,
        on_turn_change=turned or (lambda: None),
    )
