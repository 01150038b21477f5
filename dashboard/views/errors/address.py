"""The address of the Errors page, and the widgets that follow it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard.selection.filters import BY_PARAMETER, FILTERS, LIKE
from dashboard.selection.image_filter import (
    ALL,
    OPENING,
    ImageFilter,
    has_category,
    keep_filter,
    last_filter,
    read_filter,
    write_filter,
)
from dashboard.selection.orders import BY_NAME, orders_of
from dashboard.selection.run import run_name
from dashboard.selection.similar import TEST, reference_to
from dashboard.selection.split import shown_as
from dashboard.shared.browser_sync import component_value, note_redraw, set_widget, widget_key
from dashboard.shared.tables import Table
from dashboard.shell import just_arrived
from dashboard.views.errors.beside import Beside

SHOW, SORT, PAGE = "filter_show", "filter_sort", "filter_page"


def current_filter(table: Table) -> ImageFilter:
    """Read the filter from the address and set the widgets to it.

    Without an address, the session's last filter is used.
    """
    class_names = table.predictions.class_names
    current = read_filter(class_names)
    if just_arrived() and current == ImageFilter(OPENING) and (left := last_filter()):
        if left.fits(class_names):
            current = replace(left, image=None)
        write_filter(current)
    if not has_category(table, current.show):
        current = replace(current, show=ALL)
    where = {k: value for k, value in current.where.items() if BY_PARAMETER[k].applies(table)}
    current = replace(current, where=where)
    if current.sort not in orders_of(table):
        current = replace(current, sort="")
    keep_filter(current)
    note_redraw()
    set_widget(SHOW, current.show)
    set_widget(SORT, current.sort)
    for each in FILTERS:
        if each.widget:
            set_widget(each.key, each.widget.shows(current.where.get(each.parameter, "")))
    return current


def set_page(page: int) -> str:
    """Set the page switch to the shown page before it is drawn, and return its key."""
    keep_filter(replace(_last(), page=page))
    return set_widget(PAGE, page)


def filter_changed() -> None:
    """Write the filter from its widgets to the address and show the first page (callback)."""
    where = dict(_last().where)
    for each in FILTERS:
        key = widget_key(each.key)
        if each.widget and key in st.session_state:
            where[each.parameter] = each.widget.says(st.session_state[key])
            st.session_state[key] = each.widget.shows(where[each.parameter])
    sort = st.session_state[widget_key(SORT)]  # a label, if the order of the category is another
    new = replace(_last(), sort=sort if sort in BY_NAME else "", where=where)
    write_filter(new.in_category(st.session_state[widget_key(SHOW)] or ALL))


def filter_removed(parameter: str) -> None:
    """Reset one filter (callback)."""
    _change(where={name: value for name, value in _last().where.items() if name != parameter})


def filters_cleared() -> None:
    """Reset all filters (callback)."""
    _change(where={})


def all_cleared() -> None:
    """Reset all filters and the order (callback)."""
    _change(where={}, sort="")


def shuffled() -> None:
    """Show the images in another random order (callback)."""
    _change(seed=_last().seed + 1)


def page_changed() -> None:
    """Turn to the page of the page switch (callback).

    A switch that was drawn anew reports the page that it shows; that closes no image.
    """
    page = st.session_state[widget_key(PAGE)]
    if page != _last().page:
        _change(page=page)


def page_turned(widget: str, pages: int) -> None:
    """Turn the page as requested by a component (callback)."""
    step = component_value(widget, "turn")
    if step in (-1, 1):
        _change(page=min(max(_last().page + step, 1), pages))


def image_opened(widget: str) -> None:
    """Enlarge the image whose id a component sent, or close the viewer (callback)."""
    _change(page=_last().page, image=component_value(widget, "open") or None)


def neighbour_opened(widget: str) -> None:
    """Enlarge the image whose id a component sent, regardless of the filter (callback)."""
    if image := component_value(widget, "neighbour"):
        write_filter(ImageFilter(image=image), to=shown_as(run_name() or "", str(image)))


def similar_asked(widget: str, table: Table, beside: Beside | None) -> None:
    """Show images like the one whose id the viewer sent, or the second image (callback)."""
    if id := component_value(widget, "like"):
        write_filter(ImageFilter(where={LIKE: reference_to(table, str(id)).text}))
    elif beside is not None and component_value(widget, "second"):
        id = beside.reference.id
        to = "test" if beside.reference.kind == TEST else shown_as(table.key[0], id)
        write_filter(ImageFilter(image=id), to=to)


def _change(**values: Any) -> None:
    """Change parts of the filter; the page returns to 1 unless it is given."""
    write_filter(replace(_last(), **{"page": 1, "image": None, **values}))


def _last() -> ImageFilter:
    return last_filter() or ImageFilter(OPENING)
