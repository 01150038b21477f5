"""Saves and caches verdicts, and returns them for the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from dashboard.review.reviewer import reviewer
from dashboard.review.suspects import reasons
from dashboard.shared import browser_sync, tables
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Table
from dashboard.shell import show_user_errors
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN
from engine.runs.verdicts import (
    WRONG,
    Verdict,
    amended,
    load_verdicts,
    say,
    take_back,
    verdicts_path,
)


def standing() -> dict[str, Verdict]:
    """Return the current verdicts by sha256."""
    return _standing(stamp())


def stamp() -> Stamp:
    """Return a value that changes with every verdict."""
    return stamp_of(verdicts_path())


def verdict_texts(table: Table, chosen: np.ndarray) -> list[str]:
    """Return the verdicts on the chosen rows as text, '' for a row without a verdict."""
    verdicts = standing()
    if not verdicts:
        return [""] * len(chosen)
    sums = tables.facts(table, chosen)["sha256"].to_pylist()
    return [_text(verdicts[name]) if name in verdicts else "" for name in sums]


def review_of(table: Table, row: int) -> dict[str, Any] | None:
    """Return the viewer's data for a verdict, or None for an image without a label."""
    sha256 = tables.facts(table, np.array([row]))["sha256"][0].as_py()
    label = int(table.predictions.y_true[row])
    if not sha256 or label == UNKNOWN:
        return None
    verdict = standing().get(sha256)
    return {
        "others": _other_classes(table, label),
        "verdict": verdict.verdict if verdict else "",
        "label": verdict.label if verdict else "",
        "cause": verdict.cause if verdict else "",
        "line": f"{verdict.reviewer}, {verdict.time[:16].replace('T', ' ')}" if verdict else "",
        "reason": " ".join(reasons(table.key[0]).get(table.predictions.ids[row].as_py(), [])),
    }


def keep_verdicts(table: Table, widget: str) -> None:
    """Save or undo the verdicts that the viewer sent (callback)."""
    for message in browser_sync.new_messages(widget):
        row = tables.row_of(table, str(message.get("id", "")))
        if row is not None:
            with show_user_errors():
                _keep(table, row, message)
    browser_sync.note_change()


def _keep(table: Table, row: int, message: dict[str, Any]) -> None:
    fact = tables.facts(table, np.array([row])).to_pylist()[0]
    label = int(table.predictions.y_true[row])
    if not fact["sha256"] or label < 0:
        raise UserError("this image has no label to review.")
    image = Verdict(fact["sha256"], "", path=fact["path"], reviewer=reviewer())
    if message.get("undo"):
        take_back(image.sha256, image.reviewer)
        return
    others = _other_classes(table, label)
    verdict, right, cause = (str(message.get(key, "")) for key in ("verdict", "label", "cause"))
    if right and right not in others:
        raise UserError(f"{right!r} is not another class of this run.")
    say(amended(standing().get(image.sha256), image, others, verdict, right, cause))


def _other_classes(table: Table, label: int) -> list[str]:
    return [name for i, name in enumerate(table.predictions.class_names) if i != label]


def _text(verdict: Verdict) -> str:
    return f"correct label: {verdict.label}" if verdict.verdict == WRONG else verdict.verdict


@st.cache_resource(max_entries=2, show_spinner=False)
def _standing(stamp: Stamp) -> dict[str, Verdict]:
    return load_verdicts()
