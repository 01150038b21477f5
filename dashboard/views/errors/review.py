"""Reviewing labels on the Errors page: the search for suspects, and refits with verdicts."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.review import verdicts
from dashboard.review.reviewer import REVIEWER, reviewer_named, set_reviewer_box
from dashboard.review.suspects import KIND_NAMES, NEVER, kind_counts, triage_stamp
from dashboard.selection.filters import BY_PARAMETER, KIND
from dashboard.selection.image_filter import REVIEWED, REVIEWS, SUSPECTS
from dashboard.shared import commands
from dashboard.shared.browser_sync import note_change, widget_key
from dashboard.shared.escape import literal
from dashboard.shell import show_user_errors
from dashboard.views.errors.address import filter_changed
from engine.runs.opening import remove_file
from engine.runs.run import Run
from engine.runs.run_about import MOST_NAME
from engine.runs.run_list import open_run
from engine.runs.triage import triage_of, triage_path
from engine.runs.verdicts import default_reviewer

_HOW = "Open an image and press L, B, N, H or F to review its label."


def tools(name: str, show: str) -> None:
    """Show the kinds of suspicion, the reviewer's name and the actions for verdicts."""
    if show not in REVIEWS:
        return
    if show == SUSPECTS and (counts := kind_counts(name)):
        st.selectbox(
            "Suspicion", ["", *counts], key=widget_key(BY_PARAMETER[KIND].key),
            format_func=lambda kind: (
                f"{KIND_NAMES[kind]} {counts[kind]:,}" if kind else "Any suspicion"
            ),
            on_change=filter_changed, label_visibility="collapsed", width=190,
        )  # fmt: skip
    count = verdicts.count(name)
    label = f"Verdicts ({count:,})" if count else "Verdicts"
    with st.popover(label, key="verdicts"):
        _actions(open_run(name), show, count)
    if st.session_state.pop("refit_started", False):
        st.switch_page("views/train/page.py")


def _actions(run: Run, show: str, count: int) -> None:
    if not count:
        st.caption(_HOW)
    set_reviewer_box()
    st.text_input(
        "Reviewer", key=REVIEWER, placeholder=default_reviewer(), on_change=reviewer_named,
        help="Saved with each verdict, together with the time",
    )  # fmt: skip
    if count and run.config.head_sha256:
        st.button(
            f"Refit with {count:,} verdict{'s' * (count > 1)}", key="refit",
            icon=":material/model_training:", on_click=_refit, args=(run,), type="primary",
            help="Corrects wrong labels and leaves out images of both classes or neither; the "
            "change is measured on one fixed set of labels",
        )  # fmt: skip
    if show == SUSPECTS and triage_stamp(run.name) != NEVER:
        st.button(
            "Find suspects again", icon=":material/refresh:", on_click=_start, args=(run,),
            type="tertiary",
        )  # fmt: skip


def empty(name: str, show: str) -> bool:
    """Show how to start a review if there is none; return False if a filter is active."""
    if show == REVIEWED and not verdicts.count(name):
        st.info(_HOW, icon=":material/rate_review:")
        return True
    if show != SUSPECTS or triage_stamp(name) != NEVER:
        return False
    run = open_run(name)
    condition, message = triage_of(run).state
    if condition == "running":
        st.fragment(_wait, run_every=1.0)(run)
        return True
    if condition == "failed":
        st.error(literal(message), icon=":material/error:")
    st.info(
        "The search for wrong labels, images of both classes or neither, and leaks runs in the "
        "background.",
        icon=":material/troubleshoot:",
    )
    st.button("Find suspects", type="primary", key="find", on_click=_start, args=(run,))
    return True


def _wait(run: Run) -> None:
    if triage_of(run).state[0] != "running":
        st.rerun(scope="app")
    st.info("Searching for suspects…", icon=":material/hourglass_top:")


def _start(run: Run) -> None:
    note_change()
    with show_user_errors():
        remove_file(triage_path(run))  # so that the old list is not shown
        commands.start_triage(run)


def _refit(run: Run) -> None:
    note_change()
    with show_user_errors():
        name = f"refit of {run.title.removeprefix('refit of ')}"[:MOST_NAME]
        commands.start_fit(replace(run.fit_options, verdicts=True, name=name))
        st.session_state["refit_started"] = True
