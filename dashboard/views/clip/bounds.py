"""The clip bounds of this session; the run stores them after each change."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.browser_sync import component_value
from engine.runs.run_list import open_run

LOWER, UPPER, LINKED, TRACK = "clip_lower", "clip_upper", "clip_linked", "clip_track"
POINTS = "clip_shift"
_RUN, _NOW, _COMPLAINT, _SHIFT = "clip_run", "clip_now", "clip_complaint", "clip_points"


def load(run: str, bounds: tuple[float, float]) -> None:
    """Load the bounds that the run stores."""
    if st.session_state.get(_RUN) != run:
        st.session_state[LINKED] = symmetric(*bounds)
        st.session_state[_RUN] = run
        st.session_state.pop(_SHIFT, None)
    st.session_state.setdefault(LINKED, symmetric(*bounds))
    st.session_state[_NOW] = bounds


def current() -> tuple[float, float, bool]:
    """Return the bounds and whether they are linked, and set the fields to them."""
    lower, upper = st.session_state[_NOW]
    st.session_state[LOWER], st.session_state[UPPER] = lower, upper
    return lower, upper, bool(st.session_state[LINKED])


def points(estimated: float) -> float:
    """Return the assumed drop in test accuracy in points, and set the slider to it."""
    st.session_state[POINTS] = chosen = float(st.session_state.get(_SHIFT, estimated))
    return chosen


def points_moved() -> None:
    """Store the slider's value (callback)."""
    st.session_state[_SHIFT] = st.session_state[POINTS]


def complaint() -> str:
    """Return the error in the bounds entered last, once."""
    return str(st.session_state.pop(_COMPLAINT, ""))


def moved() -> None:
    """Store the bounds of the track; write them to the run on release of the handle (callback)."""
    lower, upper, final = component_value(TRACK, "move")
    _change(float(lower), float(upper), bool(final))


def typed(field: str) -> None:
    """Store the bound entered in a field (callback).

    While the track is dragged, the browser may still send an older value of a field.
    """
    if component_value(TRACK, "move") is not None:
        return
    value = st.session_state[field]
    lower, upper = st.session_state[_NOW]
    lower, upper = (value, upper) if field == LOWER else (lower, value)
    if st.session_state[LINKED] and field == LOWER:
        upper = round(1 - value, 12)
    elif st.session_state[LINKED]:
        lower = round(1 - value, 12)
    _change(lower, upper, True)


def linked() -> None:
    """Set the upper bound to 1 minus the lower one when they become linked (callback)."""
    lower, upper = st.session_state[_NOW]
    if st.session_state[LINKED] and not symmetric(lower, upper):
        b = lower if lower < 0.5 else round(1 - upper, 12)
        _change(b, round(1 - b, 12), True)


def use(lower: float, upper: float, is_linked: bool) -> None:
    """Use suggested bounds (callback)."""
    st.session_state[LINKED] = is_linked
    _change(lower, upper, True)


def use_recommended(lower: float, upper: float) -> None:
    """Forget the bounds of the run, so that a submission applies what is recommended (callback)."""
    st.session_state[LINKED] = symmetric(lower, upper)
    st.session_state[_NOW] = (lower, upper)
    open_run(st.session_state[_RUN]).forget_bounds()


def symmetric(lower: float, upper: float) -> bool:
    """Return whether lower = 1 - upper."""
    return abs(lower + upper - 1) < 1e-9


def _change(lower: float, upper: float, final: bool) -> None:
    if not 0 <= lower < upper <= 1:
        st.session_state[_COMPLAINT] = (
            "The lower bound must be smaller than the upper one, both from 0 to 1; the bounds were "
            f"not changed to {lower:g} and {upper:g}."
        )
        return
    st.session_state[_NOW] = (lower, upper)
    if final:
        open_run(st.session_state[_RUN]).set_bounds(lower, upper)
