"""Sends to the browser in advance what is likely to be shown next, when the browser asks for it.

That is the next page, the first page of each other category, and the next enlarged image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashboard.gallery.gallery import tile_data
from dashboard.gallery.tiles import images_of
from dashboard.selection.image_filter import REVIEWS, ImageFilter
from dashboard.shared import browser_sync, thumbnails
from dashboard.shared.component import registered
from dashboard.shared.tables import Table
from dashboard.views.errors import data
from dashboard.views.errors.data import Gallery
from engine.errors import UserError

KEY = "prefetch"
_prefetch = registered(__file__, '<div class="prefetch"></div>')


@dataclass(frozen=True)
class FirstPages:
    """The first pages of the categories under the same filters, named before they are computed.

    Attributes
    ----------
    table : the selected images
    image_filter : of any category
    counts : images by category, in the order of the switch
    """

    table: Table
    image_filter: ImageFilter
    counts: Mapping[str, int | None]

    @property
    def names(self) -> list[str]:
        """Return a name for each category, '' where nothing is sent; see `data.context`."""
        try:
            context = data.context(self.table, self.image_filter)
        except UserError:  # what an order needs is not known yet
            context = ""
        of_labels = (context and bool(n) and show not in REVIEWS for show, n in self.counts.items())
        return [
            f"{context}/{show}" if sent else ""
            for show, sent in zip(self.counts, of_labels, strict=True)
        ]

    def shown_as(self, shown: Gallery, show: str) -> str:
        """Return the name of the page that is shown, '' if it is none of these."""
        return dict(zip(self.counts, self.names, strict=True))[show] if shown.number == 1 else ""

    def gallery(self, name: str) -> Gallery:
        """Return the images of a category by the name of its first page."""
        show = name.partition("/")[2]
        return data.gallery_of(self.table, self.image_filter.in_category(show))


def prefetch_thumbnails(shown: Gallery) -> None:
    """Make the thumbnails of the next page and of the neighbours of the enlarged image."""
    order, at = shown.order, shown.at
    near = order[:0] if at is None else order[[i for i in (at + 1, at - 1) if 0 <= i < len(order)]]
    following = shown.page(shown.number + 1)
    thumbnails.prefetch(images_of(shown.table, following), images_of(shown.table, near))


@st.fragment
def prefetch(shown: Gallery, first_pages: FirstPages) -> None:
    """Send a page or an image when the browser requests it, which it does when it is idle."""
    browser_sync.rerun_if_changed()
    asked = browser_sync.component_value(KEY, "want")
    page, following = shown.tag(shown.number + 1), data.following(shown)
    pages = [page] if shown.at is not None else [page, *first_pages.names]
    wanted = [name for name in pages if name]
    sent: dict[str, Any] = {"following": following, "large": None, "pages": wanted}
    if asked and asked == following:
        sent["large"] = data.large(replace(shown, at=(shown.at or 0) + 1), None)
    elif asked and asked == page:
        sent |= _page(asked, shown, shown.number + 1)
    elif asked in wanted:
        sent |= _page(asked, first_pages.gallery(asked), 1)
    _prefetch(key=KEY, data=sent, height="content", on_want_change=lambda: None)


def _page(name: str, shown: Gallery, number: int) -> dict[str, Any]:
    """Return a page that was asked for by name, under the name that the gallery gives it."""
    sent = {"name": name, "page": shown.tag(number), "marks": shown.marks}
    return sent | tile_data(data.tiles(shown, number))
