"""What next: the steps that would lower the log loss most, each with its gain and a button."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.review import standing, suspects
from dashboard.selection.filters import KIND
from dashboard.selection.image_filter import SUSPECTS, ImageFilter, open_errors
from dashboard.selection.run import RUN
from dashboard.shared import commands, tables
from dashboard.shared.browser_sync import note_change
from dashboard.shared.cache import cached
from dashboard.shared.escape import error_text, literal
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shell import show_user_errors
from engine.analysis.next_steps import labels_step
from engine.analysis.suspect_ranking import LABEL
from engine.errors import UserError
from engine.runs.fit_defaults import checked_options
from engine.runs.next_steps import (
    BACKBONE,
    BESIDE,
    BLEND,
    CORRECTION,
    IMAGES,
    LABELS,
    VIEWS,
    NextStep,
    NextSteps,
    load_next_steps,
    next_steps_of,
    side_by_side_options,
)
from engine.runs.next_steps import (
    RUN as OTHER_RUN,
)
from engine.runs.opening import remove_file
from engine.runs.run import Run
from engine.runs.run_list import open_run
from engine.runs.triage import reviewed_split

SHOWN = 3
_BUTTONS = {
    LABELS: "Review",
    IMAGES: "Go to Train",
    VIEWS: "Start this fit now",
    BACKBONE: "Start this fit now",
    BESIDE: "Start this fit now",
    OTHER_RUN: "Compare",
    BLEND: "Compare",
    CORRECTION: "Go to Clip",
}


def show(name: str) -> None:
    """Show the steps that are kept, or a button that starts measuring them."""
    run = open_run(name)
    condition, message = next_steps_of(run).state
    st.subheader("What next", anchor=False)
    if condition == "done":
        try:
            found = _loaded(name, stamp_of(next_steps_of(run).path))
        except UserError as error:
            st.error(error_text(error), icon=":material/error:")
        else:
            _list(run, found)
            return
    elif condition == "running":
        st.fragment(_wait, run_every=1.0)(run)
        return
    elif condition == "failed":
        st.error(literal(message), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Find what lowers the log loss", key="next_find", icon=":material/query_stats:",
            on_click=_start, args=(run,),
        )  # fmt: skip
        st.caption(
            "Measures more images, more views, blends, corrections and suspected labels in the "
            "background."
        )


@cached(8)
def _loaded(name: str, stamp: Stamp) -> NextSteps:
    return load_next_steps(open_run(name))


def _list(run: Run, found: NextSteps) -> None:
    steps = [step for step in found.steps if step.kind in _BUTTONS]
    if not steps:
        st.caption("No step was found that lowers the log loss.")
    for place, step in enumerate(steps[:SHOWN]):
        _row(run, step, place)
    if steps[SHOWN:] or found.notes:
        with st.expander("More steps, and what could not be measured"):
            for place, step in enumerate(steps[SHOWN:], SHOWN):
                _row(run, step, place)
            for note in found.notes:
                st.caption(literal(note))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(literal(_when(run, found)))
        st.button(
            "Measure again", key="next_again", type="tertiary", icon=":material/refresh:",
            on_click=_start, args=(run,),
        )  # fmt: skip


def _when(run: Run, found: NextSteps) -> str:
    """Return the order of the steps, and when and on what they were measured."""
    when = f"Measured {found.made[:16].replace('T', ' ')} UTC on {found.n:,} images."
    order = "Largest expected gain first, steps without an expected gain last." * bool(found.steps)
    changed = "Suspects or verdicts have changed since: measure again." * _changed(run, found)
    return " ".join(part for part in (order, when, changed) if part)


def _changed(run: Run, found: NextSteps) -> bool:
    """Return whether suspects and verdicts, as they are now, give another step of labels."""
    stamps = suspects.triage_stamp(run.name), standing.stamp()
    if max(stamps) <= stamp_of(next_steps_of(run).path):
        return False
    kept = next((step for step in found.steps if step.kind == LABELS), None)
    try:
        return _labels(run.name, *stamps) != (kept and (kept.estimate, kept.time))
    except UserError:  # measuring again says what is wrong
        return True


@cached(8)
def _labels(name: str, listed: Stamp, judged: Stamp) -> tuple[str, str] | None:
    """Return gain and effort of reviewing the suspected labels, None where none is left."""
    if listed == suspects.NEVER:
        return None
    table = tables.table(name, reviewed_split(open_run(name))).predictions
    step = labels_step(suspects.triage_table(name, listed), table, standing.standing(), name)
    return (step.estimate, step.time) if step else None


def _row(run: Run, step: NextStep, place: int) -> None:
    what, gain, button = st.columns([5, 5, 3], gap="medium", vertical_alignment="center")
    what.markdown(f"**{literal(step.title)}**", help=literal(step.reason))
    gain.caption(f"{literal(step.estimate)}  \n{literal(step.time)}")
    if button.button(_BUTTONS[step.kind], key=f"next_{place}", help=literal(_help(step))):
        _go(run, step)


def _help(step: NextStep) -> str:
    """Return what the button of a step does."""
    if step.kind not in (VIEWS, BACKBONE, BESIDE):
        return step.title
    return (
        f"{step.title}, all other settings as in this run. It takes {step.time}. It starts at "
        "once; Train shows its progress and can stop it."
    )


def _go(run: Run, step: NextStep) -> None:
    """Open the page where a step is done; a fit is started there."""
    if step.kind == LABELS:
        open_errors(ImageFilter(show=SUSPECTS, where={KIND: LABEL}))
    if step.kind in (OTHER_RUN, BLEND):
        parameters = {RUN: run.name, "with": step.run}
        st.switch_page("views/compare/page.py", query_params=parameters)
    if step.kind == CORRECTION:
        st.switch_page("views/clip/page.py", query_params={RUN: run.name})
    if step.kind in (VIEWS, BACKBONE, BESIDE):
        with show_user_errors():
            options = run.fit_options
            if step.kind == VIEWS:
                options = replace(options, views=int(step.value) if step.value.isdecimal() else 0)
            elif step.kind == BESIDE:
                options = side_by_side_options(options, open_run(step.run).fit_options)
            else:
                options = replace(
                    options, backbone=(step.value,), weights=("default",), image_size=None
                )
            note_change()
            commands.start_fit(replace(checked_options(options), name=None))
            st.switch_page("views/train/page.py")
    else:
        st.switch_page("views/train/page.py")


def _wait(run: Run) -> None:
    if next_steps_of(run).state[0] != "running":
        st.rerun(scope="app")
    st.info("Measuring what would lower the log loss…", icon=":material/hourglass_top:")


def _start(run: Run) -> None:
    note_change()
    with show_user_errors():
        remove_file(next_steps_of(run).path)  # so that the old steps are not shown
        commands.start_next_steps(run)
