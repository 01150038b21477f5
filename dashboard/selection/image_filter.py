"""Which run and which images are shown: the address bar, and the widgets that are set to it.

The address bar is the truth: a widget's callback writes the address, and every run of a page
reads it and sets its widgets to it. (Widgets bound to the address cannot share it with parameters
that code writes: a write sends the server's copy, which lacks what bound widgets changed.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import streamlit as st

from dashboard.selection.lasso import read_lasso
from dashboard.shared.browser_sync import caught_up, changed, key, put, sent
from engine.analysis.categories import CATEGORIES

RUN = "run"
RUN_WIDGET = "run_picker"
ON, ON_WIDGET = "on", "on_which"
ALL = "all"
SUSPECTS, JUDGED = REVIEWS = ("suspects", "verdicts")
SHOW, TRUE, PREDICTED, RANGE, TEXT, PAGE = (
    f"look_{name}" for name in ("show", "true", "predicted", "range", "text", "page")
)
REVIEWER, _REVIEWER = "reviewer", "reviewer_kept"
_CHOSEN, _FILTER, _SHOWN_PAGE, _ARRIVED = "chosen_run", "last_look", "shown_page", "arrived"
_SLICE = re.compile(r"[a-z]{1,20}:[a-z0-9-]{1,40}")
_ON = "looked_at"
_RANGE = re.compile(r"([01](?:\.\d{1,6})?)-([01](?:\.\d{1,6})?)")


@dataclass(frozen=True)
class ImageFilter:
    """What the Errors page shows.

    Attributes
    ----------
    show : one of the five categories, ``ALL``: every image, costliest first, or one of
        ``REVIEWS``: suspected labels, or images with a verdict
    true, predicted : class names, None for any
    low, high : bounds on the score, both included
    text : part of the id, case ignored
    seed : of the shuffle
    page : from 1
    image : id of the one shown large, None for none
    map : an area of a map as `lasso` writes it, '' for any place
    slice : a bin of a property, such as ``brightness:0`` or ``cause:scale``, '' for any
    """

    show: str = ALL
    true: str | None = None
    predicted: str | None = None
    low: float = 0.0
    high: float = 1.0
    text: str = ""
    seed: int = 0
    page: int = 1
    image: str | None = None
    map: str = ""
    slice: str = ""

    @property
    def filtered(self) -> bool:
        """Tell whether anything but the category narrows the images."""
        narrowed = self.true or self.predicted or self.text or self.map or self.slice
        return bool(narrowed or self.low > 0 or self.high < 1)

    def parameters(self) -> dict[str, str]:
        """Return the address of this look; what is usual is left out."""
        pairs = {
            "show": "" if self.show == ALL else self.show,
            "true": self.true or "",
            "predicted": self.predicted or "",
            "p": f"{self.low:g}-{self.high:g}" if self.low > 0 or self.high < 1 else "",
            "id": self.text,
            "seed": str(self.seed) if self.seed else "",
            "page": str(self.page) if self.page > 1 else "",
            "picture": self.image or "",  # as links that people have say it
            "map": self.map,
            "slice": self.slice,
        }
        return {name: value for name, value in pairs.items() if value}


def sync_run(names: Sequence[str]) -> str | None:
    """Return the chosen run, newest unless the address or this session says otherwise.

    The address is completed, so that a copied link means the same run tomorrow.
    """
    if not names:
        st.session_state[_CHOSEN] = None
        return None
    asked = st.query_params.get(RUN)
    kept: str | None = st.session_state.get(_CHOSEN)
    chosen = next((name for name in (asked, kept) if name in names), None) or names[0]
    if asked != chosen:
        st.query_params[RUN] = chosen
    st.session_state[_CHOSEN] = chosen
    put(RUN_WIDGET, chosen)
    return chosen


def run_picked() -> None:
    """Take over what the run picker says (its callback); another run starts unfiltered."""
    chosen = st.session_state[key(RUN_WIDGET)]
    changed()
    st.session_state[_CHOSEN] = chosen
    st.session_state.pop(_FILTER, None)
    st.query_params.from_dict({RUN: chosen})


def looked_at(most: str) -> str:
    """Return which labelled images are looked at, "valid" or "folds".

    ``most`` names the larger table of the run; where it is "folds", the address or this session
    may say otherwise, and the switch is set.
    """
    if most == "valid":
        return most
    asked = st.query_params.get(ON)
    chosen: str = asked if asked in ("valid", most) else st.session_state.get(_ON, most)
    st.session_state[_ON] = chosen
    put(ON_WIDGET, chosen)
    _say_on(chosen)
    return chosen


def on_changed() -> None:
    """Take over what the switch between held out and all says (its callback)."""
    st.session_state[_ON] = st.session_state[key(ON_WIDGET)]
    changed()
    for name in ("page", "picture"):
        st.query_params.pop(name, None)
    _say_on(st.session_state[_ON])


def _say_on(chosen: str) -> None:
    """Write what is looked at into the address; all images are understood."""
    if chosen == "valid" and st.query_params.get(ON) != "valid":
        st.query_params[ON] = "valid"
    elif chosen != "valid" and ON in st.query_params:
        del st.query_params[ON]


def run_name() -> str | None:
    """Return the name of the chosen run, or None when there is no finished run."""
    chosen: str | None = st.session_state.get(_CHOSEN)
    return chosen


def page_shown(name: str) -> None:
    """Note which page is drawn, and whether the person has just come to it."""
    caught_up()
    st.session_state[_ARRIVED] = st.session_state.get(_SHOWN_PAGE) != name
    st.session_state[_SHOWN_PAGE] = name


def look(class_names: Sequence[str]) -> ImageFilter:
    """Read the look from the address and set the widgets to it.

    Who comes back to the page by the menu finds what they had left.
    """
    current = _read_filter(class_names)
    arrived = st.session_state.pop(_ARRIVED, False)
    if arrived and current == ImageFilter() and (left := st.session_state.get(_FILTER)):
        if {left.true, left.predicted} <= {None, *class_names}:
            current = replace(left, image=None)
        _write_filter(current)
    st.session_state[_FILTER] = current
    caught_up()
    put(SHOW, current.show)
    put(TRUE, current.true)
    put(PREDICTED, current.predicted)
    put(RANGE, (current.low, current.high))
    put(TEXT, current.text)
    return current


def set_page(page: int) -> str:
    """Set the page switch, before it is drawn, to the page that is shown; return its key."""
    st.session_state[_FILTER] = replace(st.session_state[_FILTER], page=page)
    return put(PAGE, page)


def filter_changed() -> None:
    """Write what the filter's widgets say; the page begins anew (their callback)."""
    said = {name: st.session_state[key(name)] for name in (SHOW, TRUE, PREDICTED, RANGE, TEXT)}
    low, high = st.session_state[key(RANGE)] = tuple(round(bound, 6) for bound in said[RANGE])
    text = st.session_state[key(TEXT)] = said[TEXT].strip()
    _write_filter(
        ImageFilter(
            show=said[SHOW] or ALL,
            true=said[TRUE],
            predicted=said[PREDICTED],
            low=low,
            high=high,
            text=text,
            seed=st.session_state[_FILTER].seed,
            map=st.session_state[_FILTER].map,
            slice=st.session_state[_FILTER].slice,
        )
    )


def change_filter(**values: Any) -> None:
    """Replace parts of the look (a callback); the page begins anew unless it is named."""
    old: ImageFilter = st.session_state[_FILTER]
    _write_filter(replace(old, **{"page": 1, "image": None, **values}))


def page_changed() -> None:
    """Turn to the page that the page switch says (its callback)."""
    change_filter(page=st.session_state[key(PAGE)])


def image_opened(widget: str) -> None:
    """Show the image large whose id a component sent, or none (its callback)."""
    old: ImageFilter = st.session_state[_FILTER]
    change_filter(page=old.page, image=sent(widget, "open") or None)


def reviewer() -> str:
    """Return who gives verdicts in this session, '' until somebody says."""
    return str(st.session_state.get(_REVIEWER, ""))


def set_reviewer_box() -> None:
    """Set the box, before it is drawn, to who gives verdicts."""
    st.session_state[REVIEWER] = reviewer()


def reviewer_named() -> None:
    """Remember who gives verdicts (the box's callback); Streamlit forgets boxes not shown."""
    st.session_state[_REVIEWER] = st.session_state[REVIEWER].strip()[:100]


def neighbour_opened(widget: str) -> None:
    """Show the image large whose id a component sent, whatever the filter says (its callback)."""
    if image := sent(widget, "near"):
        _write_filter(ImageFilter(image=image))


def page_turned(widget: str, pages: int) -> None:
    """Turn the page by what a component sent (its callback)."""
    old: ImageFilter = st.session_state[_FILTER]
    step = sent(widget, "turn")
    if step in (-1, 1):
        change_filter(page=min(max(old.page + step, 1), pages))


def open_errors(new: ImageFilter) -> NoReturn:
    """Go to the Errors page with a look."""
    st.session_state[_FILTER] = new
    st.switch_page("views/errors/page.py", query_params={**_standing(), **new.parameters()})


def _read_filter(class_names: Sequence[str]) -> ImageFilter:
    asked = st.query_params
    show, true, predicted = (asked.get(name) for name in ("show", "true", "predicted"))
    bounds = _RANGE.fullmatch(asked.get("p", ""))
    low, high = (float(bounds[1]), float(bounds[2])) if bounds else (0.0, 1.0)
    valid = 0 <= low <= high <= 1
    return ImageFilter(
        show=show if show in (*CATEGORIES, *REVIEWS) else ALL,
        true=true if true in class_names else None,
        predicted=predicted if predicted in class_names else None,
        low=low if valid else 0.0,
        high=high if valid else 1.0,
        text=asked.get("id", "")[:500],
        seed=_number("seed", 0),
        page=max(_number("page", 1), 1),
        image=asked.get("picture") or None,
        map=text if read_lasso(text := asked.get("map", "")) else "",
        slice=text if _SLICE.fullmatch(text := asked.get("slice", "")) else "",
    )


def _write_filter(new: ImageFilter) -> None:
    changed()
    st.session_state[_FILTER] = new
    st.query_params.from_dict({**_standing(), **new.parameters()})


def _standing() -> dict[str, str]:
    """Return what every address says: the run, and which images, unless it is all."""
    on = {ON: "valid"} if st.query_params.get(ON) == "valid" else {}
    return {RUN: run_name() or "", **on}


def _number(name: str, default: int) -> int:
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
