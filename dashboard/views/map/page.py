"""The Map page: every image is a point near similar images; an area can be selected."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from dashboard.gallery.gallery import gallery
from dashboard.gallery.tiles import tiles_of
from dashboard.gallery.viewer import viewer
from dashboard.selection import rows as selection_rows
from dashboard.selection import split
from dashboard.selection.filters import AREA
from dashboard.selection.image_filter import ImageFilter, open_errors
from dashboard.selection.lasso import Lasso
from dashboard.selection.map_coordinates import SPLITS
from dashboard.selection.run import run_name
from dashboard.shared import browser_sync, commands, html, tables, thumbnails
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table
from dashboard.shell import show_user_errors
from dashboard.views.map import address, data
from dashboard.views.map.data import Points
from dashboard.views.map.event_bridge import event_bridge
from dashboard.views.map.scatter import scatter
from dashboard.views.map.try_image import try_button
from engine.runs import maps
from engine.runs.run import Run
from engine.runs.run_list import open_run

FIRST = 6
NAMES = {"pca": "PCA", "tsne": "t-SNE"}
ABOUT = {
    "pca": "Projection on the two directions of greatest variance. Distant points are dissimilar.",
    "tsne": "Neighbouring points are similar; distances between groups have little meaning.",
}
HELP = (
    "Each point is an image. Select Lasso, or hold Shift, and draw around points to list their "
    "images. Scroll or pinch to zoom, drag to move, click to open an image. Keyboard: arrow "
    "keys, + and −, and Enter for all images in view."
)


def show() -> None:
    name = run_name()
    if name is None:
        html.no_run("see its images as a map")
        return
    run = open_run(name)
    if run.config.head_sha256 is None:
        st.info(
            "This run was imported or blended, so its images have no features. Fit a model on the "
            "Train page.", icon=":material/info:",
        )  # fmt: skip
        return
    wanted = address.method()
    stand = {method: maps.map_progress(run, method).state for method in maps.METHODS}
    shown = wanted if stand[wanted] == "done" else "pca"
    with st.container(horizontal=True, vertical_alignment="center", key="map_head"):
        st.segmented_control(
            "Layout", maps.METHODS, required=True, format_func=NAMES.__getitem__,
            key=browser_sync.widget_key(address.METHOD), on_change=address.method_changed,
            label_visibility="collapsed",
        )  # fmt: skip
        st.caption(ABOUT[shown], width="stretch")
        try_button(run)
    ensure_map(run, "pca" if stand["pca"] != "done" else "tsne", wanted)
    if stand[shown] != "done":
        return
    points = data.points(name, shown)
    left, right = st.columns([5, 2], gap="large")
    with left:
        scatter(points.packed, key="map")
        if len(points.label) < points.total:
            st.caption(
                f"The map shows a random sample of {len(points.label):,} of {points.total:,} "
                "images; a selected area includes all images."
            )
        peek(name, points)
    with right:
        chosen(name, shown)


def ensure_map(run: Run, method: str, wanted: str) -> None:
    """Make a missing map and show its progress; PCA first, then t-SNE."""
    stand = maps.map_progress(run, method)
    if stand.state == "done":
        return
    if stand.state == "none":
        commands.start_map(run, method)
    if stand.state == "failed":
        with st.container(horizontal=True, vertical_alignment="center", key="map_failed"):
            message = f"The {NAMES[method]} map could not be made: {stand.message}"
            st.warning(literal(message), icon=":material/warning:")
            st.button("Try again", on_click=address.try_again, args=(run, method))
        return
    st.fragment(_progress, run_every=1.0)(run, method, wanted)


def _progress(run: Run, method: str, wanted: str) -> None:
    """Show the progress of a map, and redraw the page when it is finished."""
    with show_user_errors():
        stand = maps.map_progress(run, method)
        if stand.state in ("done", "failed"):
            st.rerun()
        if method == "pca":
            message = "Computing the map"
        elif wanted == "tsne":
            message = "t-SNE is being computed; meanwhile this is PCA"
        else:
            message = "t-SNE is being computed as well"
        unit = {"features": "images", "tsne": "iterations"}.get(stand.stage)
        if unit and stand.total:
            message += f": {stand.done:,} of {stand.total:,} {unit}"
        st.caption(f"{message} …")


@st.fragment
def peek(name: str, points: Points) -> None:
    """Send the thumbnail of the image under the pointer, and open the clicked image."""
    browser_sync.rerun_if_changed()
    row = browser_sync.component_value("peek", "question")
    answer = {}
    if address.is_row(row, len(points.label)):
        image = points.image(name, row)
        answer = {"row": row, "src": thumbnails.small([image])[0] if image else ""}
    event_bridge("peek", answer, key="peek", asked=lambda: None)


@st.fragment
def chosen(name: str, method: str) -> None:
    """Show the highest-loss images of the selected area, with a link to all of them."""
    with show_user_errors():
        browser_sync.note_redraw()
        table = split.selected_table(name)
        row = address.clicked()
        points = data.points(name, method)
        if address.is_row(row, len(points.label)):
            open_point(name, table, points, int(row))
        if image := browser_sync.component_value("map_first", "open"):
            open_errors(ImageFilter(image=image, where={AREA: address.area()}))
        area = address.lasso(method)
        if area is None:
            st.caption(HELP)
        else:
            area_images(name, table, area)
        corners = [list(corner) for corner in area.corners] if area else []
        area_drawn = partial(address.area_drawn, method)
        event_bridge("lasso", {"corners": corners}, key="lasso", asked=area_drawn)
        event_bridge("point", {}, key="point", asked=address.point_clicked)
        one_image(name, points)


def area_images(name: str, table: Table, area: Lasso) -> None:
    """Show the number of images in an area and the first of them."""
    in_area = ImageFilter(where={AREA: area.text})
    rows = selection_rows.rows(table, in_area)
    st.markdown(area_text(table, rows))
    with st.container(horizontal=True, vertical_alignment="center", key="map_bar"):
        if st.button(
            "Show in Errors", type="primary", icon=":material/image_search:", key="map_errors",
            disabled=not len(rows),
        ):  # fmt: skip
            open_errors(in_area)
        test = tables.test_table(name)
        if (
            test is not None
            and (count := len(selection_rows.rows(test, in_area)))
            and st.button(f"{count:,} test image{'s' * (count > 1)}", key="map_test")
        ):
            open_errors(in_area, to="test")
        training = split.training_table(name)
        if (
            training is not None
            and (count := len(selection_rows.rows(training, in_area)))
            and st.button(f"{count:,} training image{'s' * (count > 1)}", key="map_train")
        ):
            open_errors(in_area, to=training.key[1])
        st.button("Clear", on_click=address.clear, key="map_clear", type="tertiary")
    if len(rows):
        gallery(tiles_of(table, rows[:FIRST]), key="map_first", opened=lambda: None)
        thumbnails.prefetch(data.first_page(table, rows))


def area_text(table: Table, rows: np.ndarray) -> str:
    """Return the number of images in an area as Markdown."""
    message = f"**{len(rows):,}** of {len(table):,} images with a label and a prediction"
    if not (table.predictions.labelled and len(rows)):
        return f"{message}."
    wrong = int((table.predictions.y_true[rows] != table.y_pred[rows]).sum())
    return f"{message}, **{wrong:,}** of them incorrect. Highest loss first:"


def open_point(name: str, table: Table, points: Points, row: int) -> None:
    """Open an image on the Errors page, or here if the run has no prediction of it."""
    id = points.coordinates.ids[row].as_py()
    if SPLITS[points.coordinates.split[row]] == "test":
        test = tables.test_table(name)
        if test is not None and tables.row_of(test, id) is not None:
            open_errors(ImageFilter(image=id), to="test")
    elif tables.row_of(table, id) is not None:
        open_errors(ImageFilter(image=id))
    elif to := split.shown_as(name, id):
        open_errors(ImageFilter(image=id), to=to)
    address.set_image(points.packed["tag"], row)


def one_image(name: str, points: Points) -> None:
    """Show an image without a prediction large."""
    row = address.image(points.packed["tag"])
    viewer(
        None if row is None else data.large_of(name, points, row),
        key="map_image", changed=address.image_closed, judged=lambda: None,
    )  # fmt: skip


show()
