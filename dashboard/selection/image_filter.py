"""Which images are shown: the category, the filters, the page and the large image.

All of it stands in the address of the Errors page; other pages make such a link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import streamlit as st

from dashboard.selection.filters import BY_PARAMETER, FILTERS
from dashboard.selection.split import standing_parameters
from dashboard.shared.browser_sync import note_change
from engine.analysis.categories import CATEGORIES

ALL = "all"
SUSPECTS, REVIEWED = REVIEWS = ("suspects", "verdicts")
_LAST = "last_filter"


@dataclass(frozen=True)
class ImageFilter:
    """What the Errors page shows.

    Attributes
    ----------
    show : one of the five categories, ``ALL``: every image, highest loss first, or one of
        ``REVIEWS``: suspected labels, or images with a verdict
    where : values of the filters by parameter, see `filters.FILTERS`; "" is left out
    seed : of the shuffle
    page : from 1
    image : id of the one shown large, None for none
    """

    show: str = ALL
    where: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    page: int = 1
    image: str | None = None

    def __post_init__(self) -> None:
        """Leave out what does not narrow."""
        narrowing = {name: value for name, value in self.where.items() if value}
        object.__setattr__(self, "where", narrowing)

    def fits(self, class_names: Sequence[str]) -> bool:
        """Tell whether all values are valid for these classes."""
        return all(
            BY_PARAMETER[name].parse(value, class_names) == value
            for name, value in self.where.items()
        )

    def parameters(self) -> dict[str, str]:
        """Return the address; what is usual is left out."""
        pairs = {
            "show": "" if self.show == ALL else self.show,
            **self.where,
            "seed": str(self.seed) if self.seed else "",
            "page": str(self.page) if self.page > 1 else "",
            "picture": self.image or "",  # as links that people have say it
        }
        return {name: value for name, value in pairs.items() if value}


def read_filter(class_names: Sequence[str]) -> ImageFilter:
    """Return what the address says; what is not valid is left out."""
    asked = st.query_params
    show = asked.get("show")
    return ImageFilter(
        show=show if show in (*CATEGORIES, *REVIEWS) else ALL,
        where={
            each.parameter: each.parse(asked.get(each.parameter, ""), class_names)
            for each in FILTERS
        },
        seed=_number("seed", 0),
        page=max(_number("page", 1), 1),
        image=asked.get("picture") or None,
    )


def write_filter(new: ImageFilter) -> None:
    """Show other images from now on."""
    note_change()
    keep_filter(new)
    st.query_params.from_dict({**standing_parameters(), **new.parameters()})


def keep_filter(current: ImageFilter) -> None:
    """Remember the filter in this session."""
    st.session_state[_LAST] = current


def last_filter() -> ImageFilter | None:
    """Return the filter that this session had last, None for none."""
    last: ImageFilter | None = st.session_state.get(_LAST)
    return last


def forget_filter() -> None:
    """Begin unfiltered, as another run does."""
    st.session_state.pop(_LAST, None)


def open_errors(new: ImageFilter) -> NoReturn:
    """Go to the Errors page with a filter."""
    keep_filter(new)
    parameters = {**standing_parameters(), **new.parameters()}
    st.switch_page("views/errors/page.py", query_params=parameters)


def _number(name: str, default: int) -> int:
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
