"""The images to show: category, filters, page and the enlarged image.

The address of the Errors page contains all of these; other pages create links to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import streamlit as st

from dashboard.selection.filters import BY_PARAMETER, FILTERS, KIND
from dashboard.selection.orders import BY_NAME, has_labels
from dashboard.selection.split import standing_parameters
from dashboard.shared.browser_sync import note_change
from dashboard.shared.tables import Table
from engine.analysis.categories import CATEGORIES

ALL = "all"
SUSPECTS, REVIEWED = REVIEWS = ("suspects", "verdicts")
SHOWN = (ALL, *CATEGORIES, *REVIEWS)
OF_LABELS = tuple(name for name in CATEGORIES if name != "most-uncertain")  # need labels
OPENING = "most-incorrect"  # shown where the address names nothing
SORT = "sort"
IMAGE_NAMES = ("picture", "image")  # in the address; the first is written, as in existing links
_LAST = "last_filter"


@dataclass(frozen=True)
class ImageFilter:
    """The content of the Errors page.

    Attributes
    ----------
    show : one of the five categories, ``ALL`` for every image by descending loss, or one of
        ``REVIEWS`` for suspected labels or reviewed images
    where : values of the filters by parameter, see `filters.FILTERS`; "" is omitted
    sort : name of an order, see `orders.ORDERS`, "" for that of ``show``
    seed : of the shuffle
    page : from 1
    image : id of the enlarged image, or None
    """

    show: str = ALL
    where: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    seed: int = 0
    page: int = 1
    image: str | None = None

    def __post_init__(self) -> None:
        """Omit filters that keep every image."""
        narrowing = {name: value for name, value in self.where.items() if value}
        object.__setattr__(self, "where", narrowing)

    def fits(self, class_names: Sequence[str]) -> bool:
        """Return whether all values are valid for these classes."""
        return all(
            BY_PARAMETER[name].parse(value, class_names) == value
            for name, value in self.where.items()
        )

    def in_category(self, show: str) -> ImageFilter:
        """Return the filter of a category's first page; kinds of suspicion are of suspects."""
        kept = {name: value for name, value in self.where.items() if name != KIND}
        where = self.where if show == SUSPECTS else kept
        return replace(self, show=show, where=where, page=1, image=None)

    def parameters(self) -> dict[str, str]:
        """Return the parameters of the address; defaults are omitted."""
        pairs = {
            "show": "" if self.show == _implied(self.where, self.image) else self.show,
            **self.where,
            SORT: self.sort,
            "seed": str(self.seed) if self.seed else "",
            "page": str(self.page) if self.page > 1 else "",
            IMAGE_NAMES[0]: self.image or "",
        }
        return {name: value for name, value in pairs.items() if value}


def has_category(table: Table, show: str) -> bool:
    """Return whether a table has what a category is of: labels, or predictions."""
    if show in OF_LABELS:
        return has_labels(table)
    return table.predicted or show not in CATEGORIES


def read_filter(class_names: Sequence[str]) -> ImageFilter:
    """Return the filter from the address; see `unknown.unknown_filters` for what is invalid."""
    asked = st.query_params
    show, sort = asked.get("show"), asked.get(SORT, "")
    image = next((asked[name] for name in IMAGE_NAMES if asked.get(name)), None)
    where = {
        each.parameter: each.parse(asked.get(each.parameter, ""), class_names) for each in FILTERS
    }
    return ImageFilter(
        show=show if show in SHOWN else _implied(where, image),
        where=where,
        sort=sort if sort in BY_NAME else "",
        seed=_number("seed", 0),
        page=max(_number("page", 1), 1),
        image=image,
    )


def write_filter(new: ImageFilter, *, to: str | None = None) -> None:
    """Write a new filter to the address; ``to`` also selects a split, see `standing_parameters`."""
    note_change()
    keep_filter(new)
    st.query_params.from_dict({**standing_parameters(to), **new.parameters()})


def keep_filter(current: ImageFilter) -> None:
    """Store the filter in this session."""
    st.session_state[_LAST] = current


def last_filter() -> ImageFilter | None:
    """Return the last filter of this session, or None."""
    last: ImageFilter | None = st.session_state.get(_LAST)
    return last


def forget_filter() -> None:
    """Remove the stored filter, because another run was selected."""
    st.session_state.pop(_LAST, None)


def errors_address(new: ImageFilter, *, to: str | None = None) -> dict[str, str]:
    """Return the parameters that show a filter on the Errors page; ``to`` as in `write_filter`.

    A component that goes there by itself (``goTo`` in component.js) spares a run of its page.
    """
    return {**standing_parameters(to), **new.parameters()}


def open_errors(new: ImageFilter, *, to: str | None = None) -> NoReturn:
    """Open the Errors page with a filter; ``to`` as in `write_filter`."""
    keep_filter(new)
    st.switch_page("views/errors/page.py", query_params=errors_address(new, to=to))


def _implied(where: Mapping[str, str], image: str | None) -> str:
    """Return what an address without a category shows: the errors, unless it names something."""
    return ALL if image or any(where.values()) else OPENING


def _number(name: str, default: int) -> int:
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
