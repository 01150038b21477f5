"""Training images on the Errors page: with their label, and without a prediction.

A run without folds predicts its training images with the network that learnt them, which says
nothing about new images; so no prediction, loss or category of them is shown.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from dashboard.gallery.gallery import gallery
from dashboard.gallery.viewer import viewer
from dashboard.selection import split
from dashboard.selection.filters import LIKE, TEXT, TRUE
from dashboard.selection.image_filter import ImageFilter, keep_filter, read_filter, write_filter
from dashboard.selection.similar import LABELLED, Reference, offers_similar
from dashboard.selection.unknown import unknown_image, unknown_page
from dashboard.shared import browser_sync, thumbnails
from dashboard.shared.browser_sync import component_value, set_widget, widget_key
from dashboard.shared.escape import literal
from dashboard.shared.paging import PAGER_WIDTH, PER_PAGE, page_count, page_of
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.thumbnails import ImageFile
from dashboard.views.errors import address
from engine.runs.images_table import read_images
from engine.runs.run_list import open_run

_CLASS, _SEARCH = "training_class", "training_search"
_COLUMNS = ["id", "path", "sha256", "label", "width", "height"]


def show(name: str) -> None:
    """Show the training images of a run by id, of one class or of all, or those with a text."""
    names = open_run(name).class_names
    image_filter = read_filter(names)
    keep_filter(image_filter)
    browser_sync.note_redraw()
    label, text = image_filter.where.get(TRUE, ""), image_filter.where.get(TEXT, "")
    every = images(name, stamp_of(open_run(name).folder / "images.parquet"))
    found = matching(every, label, text)
    ids = found["id"].to_pylist()
    at = ids.index(image_filter.image) if image_filter.image in ids else None
    if image_filter.image and at is None:
        unknown_image(image_filter.image, image_filter.image in every["id"].to_pylist())
    pages = page_count(len(ids))
    if at is None:
        unknown_page(pages)
    number = min(image_filter.page, pages) if at is None else at // PER_PAGE + 1
    key = address.set_page(number)
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        _filters(name, names, label, text)
        st.markdown(_sentence(len(ids), label, image_filter), width="stretch")
        st.pagination(
            pages, key=key, on_change=address.page_changed, max_visible_pages=5, width=PAGER_WIDTH
        )
    if not ids:
        st.info("No image passes this filter.", icon=":material/filter_alt_off:")
    shown = page_of(np.arange(len(ids)), number)
    gallery(
        tiles(name, found.take(pa.array(shown))),
        key="gallery",
        opened=partial(address.image_opened, "gallery"),
        turned=partial(address.page_turned, "gallery", pages),
        turns=("← Previous page" if number > 1 else "", "Next page →" if number < pages else ""),
        marks=False,
    )
    viewer(
        None if at is None else large(name, found, at),
        key="image", changed=partial(address.image_opened, "image"), judged=lambda: None,
        compared=_similar_asked,
    )  # fmt: skip


@st.cache_resource(max_entries=2, show_spinner=False)
def images(name: str, stamp: Stamp) -> pa.Table:
    """Return id, path, sha256, label, width and height of the training images, by id."""
    path = open_run(name).folder / "images.parquet"
    return read_images(path, _COLUMNS, splits=["train"]).select(_COLUMNS).sort_by("id")


def matching(images: pa.Table, label: str, text: str) -> pa.Table:
    """Return the images of a class, '' for all, that have every word in id, path or label."""
    found = images.filter(pc.field("label") == label) if label else images
    for word in text.split():
        id, path, named = (
            pc.match_substring(found[name], word, ignore_case=True)
            for name in ("id", "path", "label")
        )
        found = found.filter(pc.or_kleene(pc.or_kleene(id, path), named))
    return found


def tiles(name: str, rows: pa.Table) -> list[dict[str, Any]]:
    """Return the gallery's tiles of images, with their label only."""
    nothing = {"true": "", "predicted": "", "verdict": "", "tags": "", "loss": "", "reason": ""}
    return [
        {
            "id": row["id"], "src": source, "unreadable": "" if source else row["path"],
            "outcome": "unlabelled", "pName": "label", "p": row["label"] or "", **nothing,
        }
        for row, source in zip(rows.to_pylist(), thumbnails.small(_files(name, rows)), strict=True)
    ]  # fmt: skip


def large(name: str, found: pa.Table, at: int) -> dict[str, Any]:
    """Return the viewer's data of an image, without a prediction."""
    row, ids, n = found.slice(at, 1).to_pylist()[0], found["id"].to_pylist(), len(found)
    return {
        "id": row["id"],
        "src": thumbnails.large(_files(name, found.slice(at, 1))[0]),
        "where": f"{at + 1:,} of {n:,}",
        "outcome": "unlabelled",
        "title": f"Training image, labelled {row['label']}",
        "path": row["path"],
        "size": f"{row['width']:,} × {row['height']:,} pixels" if row["width"] else "",
        "pixels": [row["width"], row["height"]] if row["width"] else None,
        "original": "",
        "bars": [],
        "other": None,
        "loss": "No held-out prediction: the network was trained on this image.",
        "review": None,
        "lastMessage": browser_sync.last_message(),
        "explainable": False,
        "similar": offers_similar(name),
        "before": ids[at - 1] if at else None,
        "after": ids[at + 1] if at + 1 < n else None,
        "first": ids[0],
        "last": ids[-1],
    }


def _filters(name: str, names: tuple[str, ...], label: str, text: str) -> None:
    with st.popover("Filter and sort", icon=":material/tune:", key="filters"):
        split.switch(name, split.ANY_TEST)
        st.selectbox(
            "Class", names, index=None, key=set_widget(_CLASS, label or None),
            on_change=_changed, placeholder="Any class",
        )  # fmt: skip
        st.text_input(
            "Search", key=set_widget(_SEARCH, text), on_change=_changed,
            placeholder="File name or class",
        )  # fmt: skip


def _sentence(n: int, label: str, image_filter: ImageFilter) -> str:
    of = f" of {literal(label)}" if label else ""
    if text := image_filter.where.get(TEXT):
        of += f" with “{literal(text)}”"
    more = (
        "" if set(image_filter.where) <= {TRUE, TEXT} else " Other filters need such predictions."
    )
    return (
        f"**{n:,}** training images{of}: in order of id. The network was trained on them, so they "
        f"have no held-out prediction.{more}"
    )


def _files(name: str, rows: pa.Table) -> list[ImageFile]:
    root = open_run(name).data_root
    pairs = zip(rows["path"].to_pylist(), rows["sha256"].to_pylist(), strict=True)
    return [ImageFile(root / path, sha256 or "") for path, sha256 in pairs]


def _changed() -> None:
    label = st.session_state[widget_key(_CLASS)] or ""
    text = st.session_state[widget_key(_SEARCH)].strip()
    write_filter(ImageFilter(where={TRUE: label, TEXT: text}))


def _similar_asked() -> None:
    """Show the predicted images that are like the enlarged one (callback)."""
    if id := component_value("image", "like"):
        write_filter(ImageFilter(where={LIKE: Reference(LABELLED, str(id)).text}), test=False)
