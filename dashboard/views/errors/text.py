"""Texts of the Errors page."""

from __future__ import annotations

from dashboard.selection.filters import BY_PARAMETER
from dashboard.selection.image_filter import ALL, REVIEWED, SUSPECTS, ImageFilter
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
    """Return the number of images and the description of the filter as safe Markdown."""
    parts = [
        literal(BY_PARAMETER[name].sentence(table, value))
        for name, value in image_filter.where.items()
    ]
    description = ", ".join([*parts, ORDERS[image_filter.show]])
    return f"**{n:,}** of {len(table):,} images: {description}"


def not_searched(table: Table) -> str:
    """Return that suspected labels have not been searched for yet, as safe Markdown."""
    return f"The labels of {len(table):,} images have not been searched for suspects yet."
