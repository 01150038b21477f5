"""A dialog for an image that is in no run: its prediction, heat maps and nearest training images.

The image's bytes are kept only until the run has answered; nothing is written to disk.
"""

from __future__ import annotations

import base64
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard.explanation.answers import ask_about, open_network
from dashboard.gallery.tiles import probability
from dashboard.server.uploads import MOST_MEGABYTES, forget_uploads
from dashboard.shared import html, thumbnails
from dashboard.shared.escape import error_text, literal
from dashboard.shared.thumbnails import ImageFile
from engine.data.formats import SUFFIXES, Unreadable
from engine.data.thumbnails import LARGE_SIDE, make_thumbnail
from engine.errors import UserError
from engine.runs.run import Run

_COUNT, _TRIED, _LAYER, _OPENED = "try_count", "try_answer", "try_layer", "try_opened"
_PAUSE = 0.3  # seconds
_NO_FEATURES = (
    "The nearest training images need features that are not in the cache: open an image on Errors, "
    "choose “Explain” and compute them there."
)


@dataclass(frozen=True, eq=False)
class _Tried:
    """An image that a run was asked about; ``shown`` is a data URI, '' if it cannot be used."""

    name: str
    shown: str
    answer: Future[dict[str, Any]]


def try_button(run: Run) -> None:
    """Show the button that opens the dialog."""
    if st.button(
        "Try an image", icon=":material/add_photo_alternate:", key="try_image",
        help="Predict an image that is not in this run",
    ):  # fmt: skip
        st.session_state.pop(_TRIED, None)
        st.session_state[_OPENED] = open_network(run)
        forget_uploads()  # of a dialog that was closed while an image arrived
        dialog(run)


@st.dialog("Try an image", width="large")
def dialog(run: Run) -> None:
    key = f"try_{st.session_state.setdefault(_COUNT, 0)}"
    st.file_uploader(
        f"An image of up to {MOST_MEGABYTES} MB", key=key, on_change=_dropped, args=(run, key),
        type=sorted(ending[1:] for ending in SUFFIXES),
    )  # fmt: skip
    tried: _Tried | None = st.session_state.get(_TRIED)
    if tried is None:
        st.caption("Only this run's network reads it; it is not stored.")
        return
    try:
        answer = _awaited(tried)
    except UserError as error:
        st.error(error_text(error), icon=":material/error:")
        return
    _show(run, tried, answer)


def _dropped(run: Run, key: str) -> None:
    """Ask about what was dropped, and forget it (callback)."""
    dropped = st.session_state.get(key)
    if dropped is not None:
        st.session_state[_TRIED] = _asked(run, dropped.name, dropped.getvalue())
        st.session_state[_COUNT] += 1  # an empty widget, which holds no bytes
        forget_uploads()


def _asked(run: Run, name: str, content: bytes) -> _Tried:
    """Ask the run about an image, unless it cannot be decoded."""
    try:
        jpeg = make_thumbnail(content, LARGE_SIDE)
    except Unreadable as error:
        refused: Future[dict[str, Any]] = Future()
        refused.set_exception(UserError(f"{name} cannot be used: {error}."))
        return _Tried(name, "", refused)
    shown = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
    return _Tried(name, shown, ask_about(run, content))


def _awaited(tried: _Tried) -> dict[str, Any]:
    """Wait for the answer; each step says so, and lets the person go elsewhere."""
    place, started = st.empty(), time.monotonic()
    opened: Future[dict[str, Any]] | None = st.session_state.get(_OPENED)
    while not tried.answer.done():
        seconds = time.monotonic() - started
        loading = opened is not None and not opened.done()
        doing = "Loading PyTorch and the network for" if loading else "Predicting"
        place.caption(f"{doing} {literal(tried.name)} … {seconds:.0f} s")
        time.sleep(_PAUSE)
    place.empty()
    return tried.answer.result()


def _show(run: Run, tried: _Tried, answer: dict[str, Any]) -> None:
    images = {f"Evidence for {name}": src for name, src in answer["maps"] if src}
    layers = [*images, "Image"]
    first = answer["classes"][0][0]
    st.markdown(f"{literal(tried.name)}: predicted **{literal(first)}**")
    left, right = st.columns([3, 2], gap="large")
    with left:
        layer = st.segmented_control(
            "Shown", layers, default=layers[0], required=True, label_visibility="collapsed",
            key=f"{_LAYER}_{st.session_state[_COUNT]}", format_func=literal,
        )  # fmt: skip
        png = images.get(layer or "")
        html.show_html(
            html.large_image(f"data:image/png;base64,{png}" if png else tried.shown, tried.name)
        )
    with right:
        _figures(answer)
        _neighbours(run, answer["neighbours"])


def _figures(answer: dict[str, Any]) -> None:
    rows = [(name, probability(p)) for name, p in answer["classes"]]
    html.show_html(html.table(("Class", "Probability"), rows))
    notes = [note for note in (answer["map_note"], _NO_FEATURES * bool(answer["note"])) if note]
    without = [name for name, src in answer["maps"] if not src]
    notes += [f"No area of the image is evidence for {name}." for name in without]
    for note in notes:
        st.caption(literal(note))


def _neighbours(run: Run, near: list[dict[str, Any]]) -> None:
    if not near:
        return
    st.caption("Nearest training images, with label and cosine distance")
    files = [ImageFile(run.data_root / one["path"], one["sha256"]) for one in near]
    captions = [f"{one['label']} {one['distance']:.2f}" for one in near]
    images = zip(thumbnails.small(files), captions, strict=True)
    html.show_html(html.image_grid(list(images)))
