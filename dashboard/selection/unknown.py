"""What the address names and this run does not have: says so, and offers the way on."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.selection.filters import EVERY_SCORE, FILTERS
from dashboard.selection.image_filter import IMAGE_NAMES, SHOWN, SORT, forget_filter
from dashboard.selection.orders import orders_of
from dashboard.selection.run import RUN
from dashboard.shared.browser_sync import note_change
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table


def unknown_run(names: Sequence[str], states: dict[str, str]) -> bool:
    """Return whether the address names a run that cannot be shown; if so, say it.

    Parameters
    ----------
    names : the finished runs, the one that was started last first
    states : the state of every run
    """
    asked = st.query_params.get(RUN)
    if not asked or asked in names or not names:
        return False
    state = states.get(asked)
    what = f"is {state}, not done" if state else "is not in this workspace"
    if state == "deleted":
        what = "was deleted; “Manage”, beside the run list, restores it"
    st.warning(f"Run {literal(asked)} {what}.", icon=":material/link_off:")
    st.button(
        f"Show {literal(names[0])}", key="unknown_run", on_click=_show, args=(names[0],),
        help="The run that was started last",
    )  # fmt: skip
    return True


def unknown_filters(table: Table) -> None:
    """Say which filters in the address this run does not have; they are not applied."""
    class_names = table.predictions.class_names
    show = st.query_params.get("show", "")
    if show and show not in SHOWN:
        unknown_value("show", show, f"choose from {', '.join(SHOWN)}")
    sort = st.query_params.get(SORT, "")
    if sort not in orders_of(table):
        unknown_value(SORT, sort, f"choose from {', '.join(orders_of(table)[1:])}")
    unknown_seed()
    for each in FILTERS:
        value = st.query_params.get(each.parameter, "")
        if value and value != EVERY_SCORE and not each.parse(value, class_names):
            unknown_value(each.parameter, value, each.invalid)
        elif value and not each.applies(table):
            unknown_value(each.parameter, value, f"{table.images} have no prediction here")


def unknown_seed() -> None:
    """Say that the seed in the address is no whole number."""
    _unknown_number("seed", 0, 999_999_999, "a seed is a whole number from 0 to 999,999,999")


def unknown_page(pages: int) -> None:
    """Say that the gallery does not have the page in the address."""
    reason = "there is only page 1" if pages == 1 else f"the pages are 1 to {pages:,}"
    _unknown_number("page", 1, pages, reason)


def _unknown_number(parameter: str, least: int, most: int, reason: str) -> None:
    text = st.query_params.get(parameter, "")
    whole = text.isascii() and text.isdigit() and len(text) < 10
    if text and not (whole and least <= int(text) <= most):
        unknown_value(parameter, text, reason)


def unknown_image(image: str, there: bool) -> None:
    """Say that the image in the address is not shown.

    Parameters
    ----------
    there : whether the table has it, so that the filter leaves it out
    """
    name = next((name for name in IMAGE_NAMES if st.query_params.get(name)), IMAGE_NAMES[0])
    reason = "the filter excludes that image" if there else "no image here has that id"
    unknown_value(name, image, reason)


def unknown_value(parameter: str, value: str, reason: str) -> None:
    """Say that a value in the address is not used, and why, with a button that removes it."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"unknown_{parameter}"):
        st.warning(
            f"{literal(parameter)}={literal(value[:100])} in the address is not used: "
            f"{literal(reason)}.",
            icon=":material/link_off:",
        )
        st.button(
            "Remove it", key=f"remove_{parameter}", on_click=_remove, args=(parameter,),
            type="tertiary",
        )  # fmt: skip


def _remove(parameter: str) -> None:
    note_change()
    st.query_params.pop(parameter, None)


def _show(name: str) -> None:
    note_change()
    forget_filter()
    st.query_params.from_dict({RUN: name})
