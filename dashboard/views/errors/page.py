"""Errors: one gallery of the images that the filter leaves, in the order of the category."""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
import streamlit as st

from dashboard.gallery.gallery import gallery
from dashboard.gallery.tiles import images_of, large_of, tiles_of
from dashboard.gallery.viewer import viewer
from dashboard.review import verdicts as review_data
from dashboard.selection import image_filter as address
from dashboard.selection import slices, split
from dashboard.selection.image_filter import ALL, JUDGED, REVIEWS, SUSPECTS, ImageFilter
from dashboard.shared import browser_sync, tables, thumbnails
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table
from dashboard.shell import refusals
from dashboard.views.errors import explanation_data, export
from dashboard.views.errors import review as review_panel
from dashboard.views.errors.prefetch import ahead as handed_ahead
from engine.analysis.categories import CATEGORIES

PER_PAGE = 48
NAMES = {
    ALL: "All",
    "random-correct": "Random correct",
    "random-incorrect": "Random incorrect",
    "most-correct": "Most confident correct",
    "most-incorrect": "Most confident incorrect",
    "most-uncertain": "Most uncertain",
    SUSPECTS: "Suspects",
    JUDGED: "With a verdict",
}
ORDERS = {
    ALL: "costliest first",
    "random-correct": "in random order",
    "random-incorrect": "in random order",
    "most-correct": "surest first",
    "most-incorrect": "surest first",
    "most-uncertain": "closest call first",
    SUSPECTS: "most suspicious label first",
    JUDGED: "in order of id",
}


@st.fragment
def show() -> None:
    with refusals():
        page()


def page() -> None:
    name = address.run_name()
    if name is None:
        st.info("Finish a run first: the Overview page starts the demo.", icon=":material/info:")
        return
    table = split.labelled(name)
    look = address.look(table.predictions.class_names)
    table = review_data.table_of(name, look.show)
    if look.show not in REVIEWS:
        split.switch(name)
    filters(table, look)
    order = review_data.rows(table, look)
    at = place_of(table, order, look)
    number, pages = turned_to(look, order, at)
    above = st.container()
    chosen = order[(number - 1) * PER_PAGE : number * PER_PAGE]
    gallery(  # sent first: decoding its images is what takes the browser longest
        tiles_of(table, chosen),
        key="gallery",
        opened=partial(address.image_opened, "gallery"),
        turned=partial(address.page_turned, "gallery", pages),
        turns=("← Page before" if number > 1 else "", "Next page →" if number < pages else ""),
        page=tag(table, order, number),
        following=tag(table, order, number + 1),
    )
    large = None if at is None else large_of(table, order, at)
    viewer(
        large, key="image", changed=partial(address.image_opened, "image"),
        said=partial(review_panel.said, table, "image"),
    )  # fmt: skip
    explanation_data.show(table)
    with above:
        bar(table, look, order, number, pages)
        review_panel.aside(name, table, look)
        if not len(order) and not review_panel.empty(name, look):
            empty(look)
    ahead(table, order, number, at)
    next_page(table, order, number + 1)


def filters(table: Table, look: ImageFilter) -> None:
    """Draw category, classes, range and id; what they say is already in ``look``."""
    names = table.predictions.class_names
    changed = address.filter_changed
    st.segmented_control(
        "Images", (ALL, *CATEGORIES, *REVIEWS), required=True, format_func=NAMES.__getitem__,
        key=browser_sync.key(address.SHOW), on_change=changed, label_visibility="collapsed",
    )  # fmt: skip
    with st.container(key="filters"):
        true, predicted, score, text = st.columns([3, 3, 4, 3], gap="medium")
    for column, label, key in (
        (true, "True class", address.TRUE), (predicted, "Predicted class", address.PREDICTED),
    ):  # fmt: skip
        column.selectbox(
            label, names, index=None, key=browser_sync.key(key), on_change=changed,
            placeholder="Any class",
        )  # fmt: skip
    score.slider(
        literal(table.score_name), 0.0, 1.0, step=0.01, key=browser_sync.key(address.RANGE),
        on_change=changed,
    )  # fmt: skip
    text.text_input(
        "Id contains", key=browser_sync.key(address.TEXT), on_change=changed, placeholder="Any id"
    )


def bar(table: Table, look: ImageFilter, order: np.ndarray, page: int, pages: int) -> None:
    """Say what is shown and how many that is, beside what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        st.markdown(sentence(table, look, order), width="stretch")
        if look.show.startswith("random"):
            st.button(
                "Shuffle again", icon=":material/shuffle:", on_click=address.change_filter,
                kwargs={"seed": look.seed + 1},
            )  # fmt: skip
        if look.filtered:
            clear_button(look, "clear")
        st.download_button(
            "CSV", partial(export.csv_of, table, order), f"{table.key[0]}-{look.show}.csv",
            "text/csv", icon=":material/download:", disabled=not len(order), on_click="ignore",
            help="The images of this filter, in this order",
        )  # fmt: skip
        key = address.set_page(page)
        st.pagination(pages, key=key, on_change=address.page_changed, max_visible_pages=5)


def empty(look: ImageFilter) -> None:
    """Say that the filter leaves nothing and offer to clear it."""
    if look.filtered:
        st.info("No image passes this filter.", icon=":material/filter_alt_off:")
    else:
        st.info(f"There are no images under “{NAMES[look.show]}”.", icon=":material/info:")


def clear_button(look: ImageFilter, key: str) -> None:
    st.button(
        "Clear filter", icon=":material/filter_alt_off:", key=key, on_click=address.change_filter,
        kwargs={"true": None, "predicted": None, "low": 0.0, "high": 1.0, "text": "", "map": "",
                "slice": ""},
    )  # fmt: skip


def sentence(table: Table, look: ImageFilter, order: np.ndarray) -> str:
    """Return the count and what it counts, as harmless Markdown."""
    parts = []
    if look.true:
        parts.append(f"true {literal(look.true)}")
    if look.predicted:
        parts.append(f"predicted {literal(look.predicted)}")
    if look.low > 0 or look.high < 1:
        parts.append(f"{literal(table.score_name)} {look.low:g} to {look.high:g}")
    if look.text:
        parts.append(f"id contains {literal(look.text)}")
    if look.map:
        parts.append("in the area drawn on the map")
    if look.slice:
        parts.append(literal(slices.words(table, look.slice)))
    told = ", ".join([*parts, ORDERS[look.show]])
    return f"**{len(order):,}** of {len(table):,} images: {told}"


def place_of(table: Table, order: np.ndarray, look: ImageFilter) -> int | None:
    """Return where in the order the image lies that is shown large."""
    if look.image is None:
        return None
    row = tables.row_of(table, look.image)
    found = np.flatnonzero(order == row) if row is not None else np.empty(0)
    return int(found[0]) if len(found) else None


def turned_to(look: ImageFilter, order: np.ndarray, at: int | None) -> tuple[int, int]:
    """Return the page, that of the large image if there is one, and the number of pages."""
    pages = max(1, -(-len(order) // PER_PAGE))
    page = look.page if at is None else at // PER_PAGE + 1
    return min(page, pages), pages


def ahead(table: Table, order: np.ndarray, page: int, at: int | None) -> None:
    """Make the next page's images, and the neighbours of the large one, before they are asked."""
    following = order[page * PER_PAGE : (page + 1) * PER_PAGE]
    near = order[:0] if at is None else order[[i for i in (at + 1, at - 1) if 0 <= i < len(order)]]
    thumbnails.prefetch(images_of(table, following), images_of(table, near))


@st.fragment
def next_page(table: Table, order: np.ndarray, number: int) -> None:
    """Send the next page once the browser asks for it, which it does when nothing else goes on."""
    browser_sync.catch_up()
    page = tag(table, order, number)
    asked = page and browser_sync.sent("ahead", "want") == page
    tiles = tiles_of(table, order[(number - 1) * PER_PAGE : number * PER_PAGE]) if asked else None
    handed_ahead(page, tiles, key="ahead", wanted=lambda: None)


def tag(table: Table, order: np.ndarray, number: int) -> str:
    """Return a name for a page of images, the same for the same images, '' for an empty one."""
    chosen = order[(number - 1) * PER_PAGE : number * PER_PAGE]
    said = f"{table.key} {review_data.stamp()} {chosen.tolist()}"
    return hashlib.sha256(said.encode()).hexdigest()[:24] if len(chosen) else ""


show()
