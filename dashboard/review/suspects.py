"""Caches a run's suspected labels, the result of `triage`."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.shared.stamps import Stamp, stamp_of
from engine.runs.run import open_run
from engine.runs.triage import load_triage, triage_path

NEVER: Stamp = (0, 0)


def triage_stamp(name: str) -> Stamp:
    """Return a value that changes when the list of suspects changes, ``NEVER`` without a list."""
    return stamp_of(triage_path(open_run(name)))


def reasons(name: str) -> dict[str, list[str]]:
    """Return the reasons why images of a run are suspected, by id."""
    return _reasons(name, triage_stamp(name))


@st.cache_resource(max_entries=8, show_spinner=False)
def triage_table(name: str, stamp: Stamp) -> pd.DataFrame:
    """Return the suspects of a run; ``stamp`` is its `triage_stamp`."""
    return load_triage(open_run(name))


@st.cache_resource(max_entries=8, show_spinner=False)
def _reasons(name: str, stamp: Stamp) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if stamp != NEVER:
        table = triage_table(name, stamp)
        for id, reason in zip(table["id"], table["reason"], strict=True):
            found.setdefault(str(id), []).append(str(reason))
    return found
