"""The current verdicts, cached, and those on the rows of a table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.shared import tables
from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Key, Table, cached_table
from engine.runs.verdicts import (
    BOTH,
    FINE,
    HARD,
    NEITHER,
    WRONG,
    Verdict,
    Verdicts,
    load_verdicts,
    verdicts_path,
)

TITLES = {
    WRONG: "Wrong label",
    BOTH: "Both",
    NEITHER: "Neither",
    HARD: "Ambiguous",
    FINE: "Label is correct",
}


def standing() -> Verdicts:
    """Return the current verdicts."""
    return _standing(stamp())


def stamp() -> Stamp:
    """Return a value that changes with every verdict."""
    return stamp_of(verdicts_path())


def verdict_texts(table: Table, chosen: np.ndarray) -> list[str]:
    """Return the verdicts on the chosen rows as text, '' for a row without a verdict."""
    verdicts = standing()
    if not verdicts:
        return [""] * len(chosen)
    return [verdict_text(verdict) for verdict in verdicts_of(verdicts, table, chosen)]


def reviewed_rows(table: Table) -> np.ndarray:
    """Return the rows that have a verdict, ascending."""
    return _reviewed_rows(table.key, stamp())


def verdicts_of(verdicts: Verdicts, table: Table, rows: np.ndarray) -> list[Verdict | None]:
    """Return the verdict on each row, or None."""
    facts = tables.facts(table, rows)
    return list(map(verdicts.of, facts["sha256"].to_pylist(), facts["given"].to_pylist()))


def verdict_text(verdict: Verdict | None) -> str:
    """Return a verdict as text, '' without one."""
    if verdict is None:
        return ""
    if verdict.verdict == WRONG:
        return f"correct label: {verdict.label}"
    return TITLES[verdict.verdict].lower()


def verdict_effect(verdict: Verdict | None) -> str:
    """Return what a saved verdict does in a refit, as a sentence, '' without one."""
    if verdict is None:
        return ""
    if verdict.verdict == WRONG:
        return f"Saved; the next refit takes {verdict.label} as its label."
    if verdict.verdict in (BOTH, NEITHER):
        return "Saved; the next refit leaves this image out."
    return "Saved; the label stays as it is."


@cached(2)
def _standing(stamp: Stamp) -> Verdicts:
    return load_verdicts()


@cached(8)
def _reviewed_rows(key: Key, stamp: Stamp) -> np.ndarray:
    verdicts, table = standing(), cached_table(key)
    if not verdicts:
        return np.empty(0, dtype=np.int64)
    sums = tables.facts(table, np.arange(len(table)))["sha256"]
    known = pa.array([sha256 for sha256, _ in verdicts.standing], pa.string())
    rows = np.flatnonzero(np.asarray(pc.is_in(sums, value_set=known), dtype=bool))
    found = rows.compress([each is not None for each in verdicts_of(verdicts, table, rows)])
    found.setflags(write=False)
    return found
