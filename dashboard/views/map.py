"""Map: every picture a dot, near those like it; draw around some to see them."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from dashboard import heard, loaders, loaders_map, loaders_rows, map_state, pictures, scope, state
from dashboard.components.gallery import gallery
from dashboard.components.map import scatter
from dashboard.components.relay import relay
from dashboard.frame import refusals
from dashboard.lasso import Lasso
from dashboard.loaders import Table
from dashboard.loaders_map import Points
from dashboard.state import Look
from dashboard.text import literal
from dashboard.tiles import tiles_of
from engine.runs import maps
from engine.runs.run import Run, open_run

FIRST = 6
NAMES = {"pca": "PCA", "tsne": "t-SNE"}
ABOUT = {
    "pca": "The two directions in which the features differ most. Far apart means unlike.",
    "tsne": "Neighbours are alike; how far groups lie from each other says little.",
}
HELP = (
    "Each dot is a picture. Choose Lasso, or hold Shift, and draw around some to see them here. "
    "Wheel or two fingers zoom, a drag moves the map, a click opens the picture. From the "
    "keyboard: arrows, + and −, and Enter for all that is in view."
)


def show() -> None:
    name = state.run_name()
    if name is None:
        st.info("Finish a run first: the Overview page starts the demo.", icon=":material/info:")
        return
    run = open_run(name)
    if "head_sha256" not in run.config:
        st.info(
            "This run was imported or blended, so its pictures have no features to map. Fit one on "
            "the Train page.", icon=":material/info:",
        )  # fmt: skip
        return
    wanted = map_state.method()
    stand = {method: maps.map_progress(run, method).state for method in maps.METHODS}
    shown = wanted if stand[wanted] == "done" else "pca"
    with st.container(horizontal=True, vertical_alignment="center", key="map_head"):
        st.segmented_control(
            "Layout", maps.METHODS, required=True, format_func=NAMES.__getitem__,
            key=heard.key(map_state.METHOD), on_change=map_state.method_changed,
            label_visibility="collapsed",
        )  # fmt: skip
        st.caption(ABOUT[shown], width="stretch")
    made(run, "pca" if stand["pca"] != "done" else "tsne", wanted)
    if stand[shown] != "done":
        return
    points = loaders_map.points(name, shown)
    left, right = st.columns([5, 2], gap="large")
    with left:
        scatter(points.packed, key="map")
        if len(points.label) < points.total:
            st.caption(
                f"{len(points.label):,} of {points.total:,} pictures are drawn, chosen at random; "
                "what is drawn around finds all of them."
            )
        peek(name, points)
    with right:
        chosen(name, shown)


def made(run: Run, method: str, wanted: str) -> None:
    """Have a map made that is not there, and say how far it is; PCA first, then t-SNE."""
    stand = maps.map_progress(run, method)
    if stand.state == "done":
        return
    if stand.state == "none":
        maps.start_map(run, method)
    if stand.state == "failed":
        with st.container(horizontal=True, vertical_alignment="center", key="map_failed"):
            said = f"The {NAMES[method]} map could not be made: {stand.message}"
            st.warning(literal(said), icon=":material/warning:")
            st.button("Try again", on_click=map_state.try_again, args=(run, method))
        return
    st.fragment(_progress, run_every=1.0)(run, method, wanted)


def _progress(run: Run, method: str, wanted: str) -> None:
    """Say how far a map is; the page is drawn anew once it is there."""
    with refusals():
        stand = maps.map_progress(run, method)
        if stand.state in ("done", "failed"):
            st.rerun()
        if method == "pca":
            said = "Laying out the pictures"
        elif wanted == "tsne":
            said = "t-SNE is being laid out; here is PCA meanwhile"
        else:
            said = "t-SNE is being laid out as well"
        unit = {"features": "pictures through the network", "tsne": "rounds"}.get(stand.stage)
        if unit and stand.total:
            said += f": {stand.done:,} of {stand.total:,} {unit}"
        st.caption(f"{said} …")


@st.fragment
def peek(name: str, points: Points) -> None:
    """Answer with the picture under the pointer; open the one that was clicked, where it is."""
    heard.catch_up()
    row = heard.sent("peek", "ask")
    answer = {}
    if map_state.is_row(row, len(points.label)):
        picture = points.picture(name, row)
        answer = {"row": row, "src": pictures.small([picture])[0] if picture else ""}
    relay("peek", answer, key="peek", asked=lambda: None)


@st.fragment
def chosen(name: str, method: str) -> None:
    """Show the costliest of the pictures that were drawn around, and the way to all of them."""
    with refusals():
        heard.caught_up()
        table = scope.labelled(name)
        row = map_state.clicked()
        points = loaders_map.points(name, method)
        if map_state.is_row(row, len(points.label)):
            open_point(table, points, int(row))
        if picture := heard.sent("map_first", "open"):
            state.open_errors(Look(picture=picture, map=map_state.area()))
        area = map_state.lasso(method)
        if area is None:
            st.caption(HELP)
        else:
            some_of(table, area)
        corners = [list(corner) for corner in area.corners] if area else []
        drawn = partial(map_state.area_drawn, method)
        relay("lasso", {"corners": corners}, key="lasso", asked=drawn)
        relay("point", {}, key="point", asked=map_state.point_clicked)


def some_of(table: Table, area: Lasso) -> None:
    """Show the first pictures of an area, and how many there are."""
    look = Look(map=area.text)
    rows = loaders_rows.rows(table, look)
    st.markdown(told(table, rows))
    with st.container(horizontal=True, vertical_alignment="center", key="map_bar"):
        if st.button(
            "Show in Errors", type="primary", icon=":material/image_search:", key="map_errors",
            disabled=not len(rows),
        ):  # fmt: skip
            state.open_errors(look)
        st.button("Clear", on_click=map_state.clear, key="map_clear", type="tertiary")
    if len(rows):
        gallery(tiles_of(table, rows[:FIRST]), key="map_first", opened=lambda: None)
        pictures.prefetch(loaders_map.first_page(table, rows))


def told(table: Table, rows: np.ndarray) -> str:
    """Return how many pictures an area holds, as Markdown."""
    said = f"**{len(rows):,}** of {len(table):,} pictures with a held-out prediction"
    if not (table.predictions.labelled and len(rows)):
        return f"{said}."
    wrong = int((table.predictions.y_true[rows] != table.y_pred[rows]).sum())
    return f"{said}, **{wrong:,}** of them wrong. The costliest first:"


def open_point(table: Table, points: Points, row: int) -> None:
    """Open a picture large on the Errors page, or say why it is not there."""
    id = points.places.ids[row].as_py()
    at = loaders.row_of(table, id)
    if at is None or np.isnan(points.loss[row]):
        st.toast(literal(f"{id} has no held-out prediction, so Errors does not list it."))
        return
    state.open_errors(Look(picture=id))


show()
