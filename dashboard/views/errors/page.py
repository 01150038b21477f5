"""The Errors page: a gallery of the images that pass the filter, sorted by category."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from dashboard.explanation.answers import answer
from dashboard.explanation.explanation import explanation
from dashboard.gallery.gallery import Choice, gallery
from dashboard.gallery.viewer import viewer
from dashboard.review.suspects import NEVER, triage_stamp
from dashboard.review.verdicts import keep_verdicts
from dashboard.selection import split
from dashboard.selection.filters import BY_PARAMETER, PREDICTED, SCORE, TEXT, TRUE
from dashboard.selection.image_filter import REVIEWS, SUSPECTS, ImageFilter
from dashboard.selection.orders import orders_of
from dashboard.selection.pending import Pending
from dashboard.selection.run import run_name
from dashboard.selection.unknown import unknown_filters, unknown_image, unknown_page
from dashboard.shared import browser_sync, commands, html, tables
from dashboard.shared.browser_sync import widget_key
from dashboard.shared.escape import error_text, literal
from dashboard.shared.paging import PAGER_WIDTH
from dashboard.shared.tables import Table
from dashboard.shell import show_user_errors
from dashboard.views.errors import address, bulk, chosen, data, images_csv, review
from dashboard.views.errors.beside import beside_of
from dashboard.views.errors.data import Gallery
from dashboard.views.errors.prefetch import FirstPages, prefetch, prefetch_thumbnails
from dashboard.views.errors.text import NAMES, category, not_searched, order_name, sentence
from dashboard.views.errors.tile_size import tile_size
from dashboard.views.errors.views import views
from engine.errors import UserError
from engine.runs.run_list import open_run

EXPLANATION = "explanation"


@st.fragment
def show() -> None:
    with show_user_errors():
        page()


def page() -> None:
    name = run_name()
    if name is None:
        html.no_run("look at its errors")
        return
    selected = split.selected_table(name, split.ANY_TEST)
    unknown_filters(selected)
    image_filter = address.current_filter(selected)
    table = data.table_of(selected, image_filter.show)
    counts = data.counts(selected, image_filter)
    first_pages = FirstPages(selected, image_filter, counts)
    categories(counts)
    try:
        shown = data.gallery_of(table, image_filter)
    except UserError as error:  # of a filter, such as images that are not measured yet
        filters(name, table, image_filter)
        if isinstance(error, Pending):
            wait(table, image_filter)
        else:
            st.error(error_text(error), icon=":material/error:")
        st.button("Clear filter and order", key="clear", on_click=address.all_cleared)
        return
    if image_filter.image and shown.at is None:
        unknown_image(image_filter.image, tables.row_of(table, image_filter.image) is not None)
    if shown.at is None:  # an enlarged image is on the page that it is on
        unknown_page(shown.pages)
    above = st.container(key="above")
    number, pages = shown.number, shown.pages
    picked = chosen.chosen_rows(table, image_filter)
    gallery(  # sent first: decoding its images takes the browser longest
        data.tiles(shown, number),
        key="gallery",
        opened=partial(address.image_opened, "gallery"),
        turned=partial(address.page_turned, "gallery", pages),
        turns=("← Previous page" if number > 1 else "", "Next page →" if number < pages else ""),
        page=shown.tag(number),
        following=shown.tag(number + 1),
        categories=first_pages.names,
        first=first_pages.shown_as(shown, image_filter.show),
        marks=shown.marks,
        choice=Choice(
            table.predictions.ids.take(np.intersect1d(shown.page(number), picked)).to_pylist(),
            partial(chosen.choice_changed, table, image_filter, shown.order, "gallery"),
        ),
    )
    beside = beside_of(table, image_filter)
    viewer(
        data.large(shown, beside),
        key="image", changed=partial(address.image_opened, "image"),
        judged=partial(keep_verdicts, table, "image"),
        compared=partial(address.similar_asked, "image", table, beside),
    )  # fmt: skip
    if table.predicted:
        explain(table)
    with above:
        bar(name, shown, image_filter)
        if not len(shown.order) and not review.empty(name, image_filter.show):
            empty(image_filter)
    bulk.bar(shown, image_filter, picked)
    prefetch_thumbnails(shown)
    prefetch(shown, first_pages)


@st.fragment(run_every=1.0)
def wait(table: Table, image_filter: ImageFilter) -> None:
    """Say what is being computed, and draw the page when it is done."""
    try:
        data.gallery_of(table, image_filter)
    except Pending as error:
        st.info(error_text(error), icon=":material/hourglass_top:")
        return
    except UserError:  # the page says it
        pass
    st.rerun()


def categories(counts: dict[str, int | None]) -> None:
    """Draw the switch between the categories, each with the number of its images."""
    st.segmented_control(
        "Images", list(counts), required=True, key=widget_key(address.SHOW),
        format_func=lambda show: category(show, counts[show]), on_change=address.filter_changed,
        label_visibility="collapsed",
    )  # fmt: skip


def filters(name: str, table: Table, image_filter: ImageFilter) -> None:
    """Draw the filter widgets, which are already set to the filter."""
    names, changed = table.predictions.class_names, address.filter_changed
    keys = {name: widget_key(BY_PARAMETER[name].key) for name in (TRUE, PREDICTED, SCORE, TEXT)}
    with st.popover("Filter and sort", icon=":material/tune:", key="filters"):
        if image_filter.show not in REVIEWS:
            split.switch(name, split.ANY_TEST)
        for parameter, label in ((TRUE, "True class"), (PREDICTED, "Predicted class")):
            if BY_PARAMETER[parameter].applies(table):
                st.selectbox(
                    label, names, index=None, key=keys[parameter], on_change=changed,
                    placeholder="Any class",
                )  # fmt: skip
        if BY_PARAMETER[SCORE].applies(table):
            st.slider(
                literal(table.score_title), 0.0, 1.0, step=0.01, key=keys[SCORE], on_change=changed
            )
        st.text_input(
            "Search",
            key=keys[TEXT],
            on_change=changed,
            placeholder="File name, class, verdict, tag or note",
        )
        st.selectbox(
            "Order", orders_of(table), key=widget_key(address.SORT), on_change=changed,
            format_func=lambda name: order_name(table, image_filter, name),
        )  # fmt: skip


def bar(name: str, shown: Gallery, image_filter: ImageFilter) -> None:
    """Show the number of images and their description, with the available actions."""
    table, order = shown.table, shown.order
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        with st.container(horizontal=True, key="tools", width="content"):
            filters(name, table, image_filter)
            views(name, image_filter)
            review.tools(name, image_filter.show)
            if image_filter.show.startswith("random") and not image_filter.sort:
                st.button("Shuffle again", icon=":material/shuffle:", on_click=address.shuffled)
            chips(table, image_filter)
        searched = image_filter.show != SUSPECTS or triage_stamp(table.key[0]) != NEVER
        text = sentence(table, image_filter, len(order)) if searched else not_searched(table)
        st.markdown(text, width="stretch")
        tile_size("tile_size")
        st.download_button(
            "CSV", partial(images_csv.csv_of, table, order),
            f"{table.key[0]}-{image_filter.show}.csv", "text/csv", icon=":material/download:",
            disabled=not len(order), on_click="ignore",
            help="The filtered images, in this order", key="gallery_csv",
        )  # fmt: skip
        key = address.set_page(shown.number)
        if shown.pages > 1:
            st.pagination(
                shown.pages, key=key, on_change=address.page_changed, max_visible_pages=5,
                width=PAGER_WIDTH,
            )  # fmt: skip


def chips(table: Table, image_filter: ImageFilter) -> None:
    """Name each filter on a button that removes it, and offer to clear several at once."""
    for name, value in image_filter.where.items():
        st.button(
            literal(BY_PARAMETER[name].sentence(table, value)), key=f"without_{name}",
            icon=":material/close:", icon_position="right", help="Remove this filter",
            on_click=address.filter_removed, args=(name,),
        )  # fmt: skip
    if len(image_filter.where) > 1:
        st.button(
            "Clear filters", icon=":material/filter_alt_off:", key="clear",
            on_click=address.filters_cleared,
        )  # fmt: skip


def empty(image_filter: ImageFilter) -> None:
    """Show that no image passes the filter."""
    if image_filter.where:
        st.info("No image passes this filter.", icon=":material/filter_alt_off:")
    else:
        st.info(f"There are no images under “{NAMES[image_filter.show]}”.", icon=":material/info:")


@st.fragment
def explain(table: Table) -> None:
    """Answer the browser's request for an explanation of the enlarged image."""
    browser_sync.rerun_if_changed()  # for example, a neighbour was opened
    asked = browser_sync.component_value(EXPLANATION, "want") or browser_sync.component_value(
        EXPLANATION, "compute"
    )
    row = tables.row_of(table, asked) if isinstance(asked, str) and asked else None
    explanation(
        {} if row is None else answer(table, row, asked),
        key=EXPLANATION,
        wanted=lambda: None,
        opened=partial(address.neighbour_opened, EXPLANATION),
        computed=partial(compute_features, table.key[0]),
    )


def compute_features(name: str) -> None:
    """Start computing the features that are missing (callback)."""
    with show_user_errors():
        commands.start_features(open_run(name))


show()
