"""A grid of images with keyboard control."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dashboard.shared import browser_sync
from dashboard.shared.component import registered


@dataclass(frozen=True)
class Choice:
    """What is chosen of the shown images.

    Attributes
    ----------
    ids : those that are chosen
    changed : callback that reads the messages of what is chosen
    """

    ids: Sequence[str]
    changed: Callable[[], None]


def tile_data(tiles: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the scripts' ``tilesOf`` reads: tiles, and apart from them their images.

    Streamlit makes JSON of a component's data twice; a table goes as it is.
    """
    sources = pa.table({"src": pa.array([tile["src"] for tile in tiles], pa.string())})
    said = [{name: value for name, value in tile.items() if name != "src"} for tile in tiles]
    return {"tiles": said, "sources": sources}


_gallery = registered(
    __file__, also=("band.js",), html='<div class="grid"></div><div class="turns"></div>'
)


def gallery(
    tiles: Sequence[dict[str, Any]],
    *,
    key: str,
    opened: Callable[[], None],
    turned: Callable[[], None] | None = None,
    turns: tuple[str, str] = ("", ""),
    page: str = "",
    following: str = "",
    categories: Sequence[str] = (),
    first: str = "",
    strip: bool = False,
    marks: bool = True,
    choice: Choice | None = None,
) -> None:
    """Show a grid of images with their labels, predictions and figures.

    Parameters
    ----------
    tiles : id, src, true, predicted, outcome (correct, incorrect, unlabelled), p and loss, all as
        text; verdict, the verdict on the label as text, or ''; tags, likewise; reason, why
        the label is suspected, or nothing; address, parameters of Errors if a click goes there
    key : name of the widget; the callback ``opened`` reads the id there under ``open``
    turned : callback of the page buttons and Page up and down; reads -1 or 1 there under ``turn``
    turns : labels of the buttons for the previous and next page, '' without such a page
    page, following : names of this page and the next one, used by the prefetch
    categories, first : names by which the first pages of the categories in the switch above are
        prefetched, and this page if it is one of them
    strip : whether to show only one row
    marks : whether each tile says if it is correct; superfluous where all are errors
    choice : None if images cannot be chosen
    """
    chosen = {} if choice is None else {"choosable": True, "chosen": choice.ids}
    _gallery(
        key=key,
        data={**tile_data(tiles), "turns": list(turns), "strip": strip, "marks": marks}
        | {"page": page, "following": following, "lastMessage": browser_sync.last_message()}
        | {"categories": list(categories), "first": first}
        | chosen,
        on_open_change=opened,
        on_turn_change=turned or (lambda: None),
        on_messages_change=choice.changed if choice else (lambda: None),
    )
