"""The views saved with a run: names for what the Errors page showed."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import streamlit as st

from dashboard.selection import split
from dashboard.selection.filters import BY_PARAMETER
from dashboard.selection.image_filter import SORT, ImageFilter, forget_filter
from dashboard.selection.run import RUN
from dashboard.shared.browser_sync import note_change
from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from engine.errors import UserError
from engine.runs.run_list import open_run
from engine.runs.saved_views import View, load_views, views_path

_PARAMETERS = {split.SPLIT, "show", SORT, "seed", *BY_PARAMETER}


def saved_views(name: str) -> dict[str, View]:
    """Return a run's views by name; none where the file is damaged."""
    try:
        return _views(name, stamp_of(views_path(open_run(name))))
    except UserError:
        return {}


def view_of(image_filter: ImageFilter) -> View:
    """Return category, filters, order and split as a view; the page is not part of it."""
    filtered = replace(image_filter, page=1, image=None)
    parameters = {**split.standing_parameters(), "show": image_filter.show, **filtered.parameters()}
    return {name: value for name, value in parameters.items() if name != RUN}


def open_view(name: str, view: View) -> None:
    """Show a run's view on the Errors page, which is open (callback)."""
    note_change()
    st.query_params.from_dict(_address(name, view))


def go_to_view(name: str, view: View) -> NoReturn:
    """Open the Errors page with a run's view; before anything is drawn."""
    st.switch_page("views/errors/page.py", query_params=_address(name, view))


def _address(name: str, view: View) -> dict[str, str]:
    forget_filter()
    split.forget_split()
    return {RUN: name, **{key: value for key, value in view.items() if key in _PARAMETERS}}


@cached(8)
def _views(name: str, stamp: Stamp) -> dict[str, View]:
    return load_views(open_run(name))
