"""Texts of the Errors page."""

from __future__ import annotations

from dashboard.selection.filters import LIKE
from dashboard.selection.image_filter import ALL, REVIEWED, SUSPECTS, ImageFilter
from dashboard.selection.orders import has_labels, title_of
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table

NAMES = {
    ALL: "All",
    "random-correct": "Random correct",
    "random-incorrect": "Random incorrect",
    "most-correct": "Most confident correct",
    "most-incorrect": "Most confident incorrect",
    "most-uncertain": "Most uncertain",
    SUSPECTS: "Suspects",
    REVIEWED: "Reviewed",
}
ORDERS = {
    ALL: "highest loss first",
    "random-correct": "in random order",
    "random-incorrect": "in random order",
    "most-correct": "most confident first",
    "most-incorrect": "most confident first",
    "most-uncertain": "least confident first",
    SUSPECTS: "most suspicious label first",
    REVIEWED: "in order of id",
}


def sentence(table: Table, image_filter: ImageFilter, n: int) -> str:
    """Return the number of images and their order as safe Markdown; chips name the filters."""
    order = default_order(table, image_filter)
    if image_filter.sort:
        title = title_of(table, image_filter.sort)
        order = literal(title[0].lower() + title[1:])
    why = (
        ""
        if table.predicted
        else ". The network was trained on them, so they have no held-out prediction."
    )
    return f"**{n:,}** of {table.images}: {order}{why}"


def order_name(table: Table, image_filter: ImageFilter, sort: str) -> str:
    """Return the name of an order, with '' that of the category, as plain text."""
    return title_of(table, sort) if sort else f"Default ({default_order(table, image_filter)})"


def default_order(table: Table, image_filter: ImageFilter) -> str:
    """Return the order of a category as text; images without labels have no loss."""
    show = image_filter.show
    if LIKE in image_filter.where:
        return "nearest first"
    return ORDERS[show if show != ALL or has_labels(table) else REVIEWED]


def category(show: str, count: int | None) -> str:
    """Return the name of a category with the number of its images, if it is known."""
    return NAMES[show] if count is None else f"{NAMES[show]} {count:,}"


def not_searched(table: Table) -> str:
    """Return that suspected labels have not been searched for yet, as safe Markdown."""
    return f"The labels of {len(table):,} images have not been searched for suspects yet."
