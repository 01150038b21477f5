"""The Compare page: the better of two runs, their differences by image, and their blend."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from dashboard.explanation.answers import answer_of_two
from dashboard.explanation.explanation import explanation
from dashboard.gallery.gallery import gallery
from dashboard.gallery.tiles import bars, images_of, large_of, tiles_of
from dashboard.gallery.viewer import viewer
from dashboard.review.verdicts import keep_verdicts
from dashboard.selection.run import RUN, run_name
from dashboard.selection.unknown import unknown_image
from dashboard.shared import browser_sync, html, tables, thumbnails
from dashboard.shared.browser_sync import widget_key
from dashboard.shared.escape import literal
from dashboard.shared.paging import PAGER_WIDTH, page_count, page_of
from dashboard.shell import show_user_errors
from dashboard.views.compare import address, data, text
from dashboard.views.compare.data import Compared
from dashboard.views.compare.text import Names
from engine.analysis.reuse import reuse_sentence
from engine.competition.blend import keep_blend

PER_PAGE, EXPLANATION = 24, "compared_explanation"
NAMES = {
    "fixed": "Fixed",
    "broken": "Broken",
    "both-wrong": "Both incorrect",
    "both-right": "Both correct",
}
ABOUT = {  # own and other are the names of the runs
    "fixed": "Correct in {own} only, by descending loss in {other}.",
    "broken": "Correct in {other} only, by descending loss in {own}.",
    "both-wrong": "Incorrect in both runs, by descending loss.",
    "both-right": "Correct in both runs, by descending loss.",
}


def show() -> None:
    name = run_name()
    st.header("Compare", anchor=False)
    if name is None:
        html.no_run("compare it with another one")
        return
    runs = {run.name: run for run in tables.summaries() if run.state == "done"}
    others = data.comparable(name, list(runs))
    if not others:
        st.write(text.no_other(len(runs) == 1))
        st.page_link("views/train/page.py", label="Go to Train", icon=":material/model_training:")
        return
    other = address.other(others)
    st.selectbox(
        "Compared with", others, key=widget_key(address.OTHER), on_change=address.other_changed,
        format_func=lambda each: runs[each].line,
    )  # fmt: skip
    compared, names = data.compared(name, other), text.names_of(runs[name], runs[other])
    figures(compared, names)
    galleries(compared, names)
    blending(name, other, names)


def figures(compared: Compared, names: Names) -> None:
    """Show the metrics of both runs and the table of agreement."""
    found = compared.found
    html.show_html(text.verdict(found, names), key="verdict")
    left, right = st.columns([3, 2], gap="large")
    with left:
        head = ("", *names, "Difference", "95 % interval")
        html.show_html(html.table(head, text.figures(found)), key="figures")
        html.show_html(text.significance(found, names), key="significance")
        if reuse := reuse_sentence(data.runs_on_same_images(compared.table.key[0]), *found.losses):
            st.caption(reuse)
    with right:
        four(text.four(found, names))


def four(texts: dict[str, str]) -> None:
    """Draw the 2 × 2 table of correct and incorrect images; a cell shows its images below."""
    with st.container(key="four"):
        places = [cell for _ in range(2) for cell in st.columns(2, gap="xsmall")]
        for cell, (part, label) in zip(places, texts.items(), strict=True):
            cell.button(
                label, key=f"four_{part}", width="stretch", on_click=address.part_picked,
                args=(part,), help="Show these images",
            )  # fmt: skip


@st.fragment
def galleries(compared: Compared, names: Names) -> None:
    """Draw one of the galleries; turning its pages reruns only this fragment."""
    with show_user_errors():
        counts = {name: len(rows) for name, rows in compared.parts.items()}
        part = address.part(counts)
        st.segmented_control(
            "Images", address.PARTS, required=True, key=widget_key(address.PART),
            on_change=address.part_changed, label_visibility="collapsed",
            format_func=lambda each: f"{NAMES[each]} {counts[each]:,}",
        )  # fmt: skip
        one_gallery(compared, part, names)


def one_gallery(compared: Compared, part: str, names: Names) -> None:
    order = compared.parts[part]
    pages = page_count(len(order), PER_PAGE)
    at = place_of(compared, order)
    number = address.page(pages, None if at is None else at // PER_PAGE + 1)
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        about = ABOUT[part].format(own=names[0], other=names[1])
        about = f"{about} Loss: {names[1]} → {names[0]}." if len(order) else "There are none."
        st.caption(literal(about), width="stretch")
        if pages > 1:
            key = widget_key(address.PAGE)
            st.pagination(
                pages, key=key, on_change=address.page_changed, max_visible_pages=5,
                width=PAGER_WIDTH,
            )  # fmt: skip
    chosen = page_of(order, number, PER_PAGE)
    gallery(
        tiles(compared, chosen),
        key="compared",
        opened=partial(address.image_opened, "compared"),
        turned=partial(address.page_turned, "compared", pages),
        turns=("← Previous page" if number > 1 else "", "Next page →" if number < pages else ""),
        marks=False,  # all images of a part are alike
    )
    large = None if at is None else large_at(compared, order, at, names)
    viewer(
        large, key="compared_large", changed=partial(address.image_opened, "compared_large"),
        judged=partial(keep_verdicts, compared.table, "compared_large"),
    )  # fmt: skip
    explain(compared, names)
    following = page_of(order, number + 1, PER_PAGE)
    thumbnails.prefetch(images_of(compared.table, following))


@st.fragment
def explain(compared: Compared, names: Names) -> None:
    """Answer the browser's request for the heat maps of both runs."""
    browser_sync.rerun_if_changed()
    asked = browser_sync.component_value(EXPLANATION, "want")
    wanted = isinstance(asked, str) and asked
    of = (compared.table, compared.other)
    explanation(
        answer_of_two(of, asked, names) if wanted else {},
        key=EXPLANATION, wanted=lambda: None, runs=names,
    )  # fmt: skip


def tiles(compared: Compared, chosen: np.ndarray) -> list[dict[str, Any]]:
    """Return the tiles of the chosen rows, with the losses in the other and in this run."""
    made = tiles_of(compared.table, chosen)
    for tile, row in zip(made, chosen.tolist(), strict=True):
        before, now = compared.losses[row], compared.table.loss[row]
        tile.update(pName="loss", p=f"{before:.3f} → {now:.3f}", loss="")
    return made


def place_of(compared: Compared, order: np.ndarray) -> int | None:
    """Return the position of the image in the address within the order, or None."""
    row = tables.row_of(compared.table, name) if (name := address.image()) else None
    found = np.flatnonzero(order == row) if row is not None else np.empty(0)
    if name and not len(found):
        unknown_image(name, row is not None)
    return int(found[0]) if len(found) else None


def large_at(compared: Compared, order: np.ndarray, at: int, names: Names) -> dict[str, Any]:
    """Return the viewer's data for the image at a position of the order."""
    large = large_of(compared.table, order, at)
    large["loss"] += f"; in {names[1]} {compared.losses[order[at]]:.3f}"
    row = tables.row_of(compared.other, large["id"])
    if row is not None:
        large["other"] = {"own": names[0], "name": names[1], "bars": bars(compared.other, row)}
    return large


def blending(name: str, other: str, names: Names) -> None:
    """Show the gain of a blend of the two runs, with a button that saves it."""
    st.subheader("Blend these two", anchor=False)
    prepared = data.blend(name, other)
    html.show_html(text.blended(prepared, names))
    with st.container(horizontal=True, vertical_alignment="bottom", key="blend"):
        title = st.text_input(
            "Name of the blend",
            key=address.NAME,
            placeholder="Display name (optional)",
            max_chars=200,
            width=420,
        )
        keep = st.button(
            "Blend these two", icon=":material/merge:",
            type="primary" if prepared.found.pays else "secondary",
        )  # fmt: skip
    if keep:
        made = keep_blend(prepared, title.strip() or None)
        st.switch_page("views/overview/page.py", query_params={RUN: made.name})


show()
