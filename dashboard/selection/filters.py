"""The table of image filters: a new filter is one row here and one widget on the Errors page.

A filter's value is its text in the address; "" keeps every image, so it also resets the filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from dashboard.review import notes, standing
from dashboard.review.suspects import KIND_NAMES, NEVER, of_kind, triage_stamp
from dashboard.selection import similar, slices
from dashboard.selection.lasso import read_lasso
from dashboard.selection.map_coordinates import within
from dashboard.selection.run import run_name
from dashboard.selection.text_search import has_text
from dashboard.shared.tables import Table

TRUE, PREDICTED, SCORE, ID, TEXT, AREA, SLICE, LIKE, KIND = (
    "true", "predicted", "p", "id", "text", "map", "slice", "like", "kind",
)  # fmt: skip
EVERY_SCORE = "0-1"
_RANGE = re.compile(r"([01](?:\.\d{1,6})?)-([01](?:\.\d{1,6})?)")
_SLICE = re.compile(r"[a-z]{1,20}:[a-z0-9-]{1,40}")


@dataclass(frozen=True)
class Widget:
    """Conversion between a filter's value and its widget's value."""

    shows: Callable[[str], Any]
    says: Callable[[Any], str]


@dataclass(frozen=True)
class Filter:
    """One filter of the images.

    Attributes
    ----------
    parameter : its name in the address
    parse : function from the address's text and the class names to the value, "" if invalid
    keep : function from table and value to the rows it keeps, bool array of shape (n,)
    sentence : function from table and value to the description, as plain text
    widget : None if the filter has no widget on the Errors page
    applies : whether a table has what is filtered
    stamp : further values on which its rows depend
    invalid : why a value cannot be used, as a clause
    """

    parameter: str
    parse: Callable[[str, Sequence[str]], str]
    keep: Callable[[Table, str], np.ndarray]
    sentence: Callable[[Table, str], str]
    widget: Widget | None = None
    applies: Callable[[Table], bool] = lambda _: True
    stamp: Callable[[], Hashable] = lambda: None
    invalid: str = ""

    @property
    def key(self) -> str:
        """Return the key of the filter's widget."""
        return f"filter_{self.parameter}"


def _bounds(text: str) -> tuple[float, float]:
    found = _RANGE.fullmatch(text)
    return (float(found[1]), float(found[2])) if found else (0.0, 1.0)


def _range(bounds: tuple[float, float]) -> str:
    low, high = (f"{bound:.6f}".rstrip("0").rstrip(".") for bound in bounds)
    return "" if (low, high) == ("0", "1") else f"{low}-{high}"


def _parse_range(text: str, _names: Sequence[str]) -> str:
    low, high = _bounds(text)
    return _range((low, high)) if 0 <= low <= high <= 1 else ""


def _in_range(table: Table, text: str) -> np.ndarray:
    """Return the scores from low to below high, so that no image is in two adjoining ranges.

    1 is included, and so is the only value of a range of one value.
    """
    low, high = _bounds(text)
    below = table.score <= high if high in (low, 1.0) else table.score < high
    return np.asarray((table.score >= low) & below)


def _range_text(table: Table, text: str) -> str:
    low, high = _bounds(text)
    below = "" if high in (low, 1.0) else "below "
    return f"{table.score_name} {low:g} to {below}{high:g}"


def _parse_class(text: str, names: Sequence[str]) -> str:
    return text if text in names else ""


def _class(table: Table, name: str) -> int:
    return table.predictions.class_names.index(name)


def _contains(table: Table, text: str) -> np.ndarray:
    found = pc.match_substring(table.predictions.ids, text, ignore_case=True)
    return np.asarray(found, dtype=bool)


def _in_area(table: Table, text: str) -> np.ndarray:
    area = read_lasso(text)
    if area is None:
        return np.ones(len(table), dtype=bool)
    return within(table.key[0], table.key[1], table.predictions.ids, area)


def _has_prediction(table: Table) -> bool:
    return table.predicted


_CLASS = Widget(lambda text: text or None, lambda name: name or "")

FILTERS = (
    Filter(
        TRUE, _parse_class,
        keep=lambda table, name: table.predictions.y_true == _class(table, name),
        sentence=lambda _, name: f"true {name}",
        widget=_CLASS,
        invalid="this run has no class of this name",
    ),
    Filter(
        PREDICTED, _parse_class,
        keep=lambda table, name: table.y_pred == _class(table, name),
        sentence=lambda _, name: f"predicted {name}",
        widget=_CLASS,
        applies=_has_prediction,
        invalid="this run has no class of this name",
    ),
    Filter(
        SCORE, _parse_range, keep=_in_range, sentence=_range_text,
        widget=Widget(_bounds, _range),
        applies=_has_prediction,
        invalid="it must be a range such as 0.2-0.8",
    ),
    Filter(
        ID, lambda text, _: text[:500],
        keep=_contains,
        sentence=lambda _, text: f"id contains {text}",
    ),
    Filter(
        TEXT, lambda text, _: text[:500],
        keep=has_text,
        sentence=lambda _, text: f"“{text}” in name, class, verdict, tag or note",
        widget=Widget(str, lambda text: str(text).strip()),
        stamp=lambda: (standing.stamp(), notes.stamp()),
    ),
    Filter(
        AREA, lambda text, _: text if read_lasso(text) else "",
        keep=_in_area,
        sentence=lambda *_: "in the area drawn on the map",
        invalid="it is not an area of the map",
    ),
    Filter(
        SLICE, lambda text, _: text if _SLICE.fullmatch(text) else "",
        keep=slices.within,
        sentence=slices.slice_text,
        stamp=slices.stamp,
        invalid="it is not a slice such as brightness:0",
    ),
    Filter(
        LIKE, lambda text, _: text[:500] if similar.read_reference(text) else "",
        keep=similar.is_near,
        sentence=lambda _, text: f"most like {text.partition(':')[2]}",
        invalid="it is not an image such as labelled:cat.1 or test:1",
    ),
    Filter(
        KIND, lambda text, _: text if text in KIND_NAMES else "",
        keep=of_kind,
        sentence=lambda _, kind: f"suspected: {KIND_NAMES[kind].rstrip('?').lower()}",
        widget=Widget(str, lambda kind: kind or ""),
        stamp=lambda: triage_stamp(run_name() or "") if run_name() else NEVER,
        invalid=f"choose from {', '.join(KIND_NAMES)}",
    ),
)  # fmt: skip
BY_PARAMETER = {each.parameter: each for each in FILTERS}
