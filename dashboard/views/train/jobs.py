"""Running and recent fits, shown live and in every tab."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.selection.run import RUN
from dashboard.shared import commands, html
from dashboard.shared.chart import chart
from dashboard.shell import show_user_errors
from dashboard.views.train import charts, jobs_text
from engine.errors import UserError
from engine.runs import jobs
from engine.runs.run import Run
from engine.runs.run_list import list_runs

ENDED, LINES, LOOK_BACK = 3, 8, 30
_DISMISSED = "jobs_dismissed"


def show() -> None:
    """Show the fits; while one is running, this fragment reruns every second."""
    active = [run.name for run in jobs.running_jobs() if not run.damage]
    refresh = 1.0 if active else None
    st.fragment(_panel, run_every=refresh)(active)


def _panel(active: list[str]) -> None:
    runs = [run for run in list_runs() if not run.damage]
    now = [run for run in runs if jobs.progress_of(run).active]
    if [run.name for run in now] != active:
        st.rerun()  # the whole page, because the run picker changes too
    if now:
        st.subheader("Running", anchor=False)
    for run in now:
        _running(run)
    gone = st.session_state.setdefault(_DISMISSED, set())
    ended = [run for run in runs[:LOOK_BACK] if run not in now and run.name not in gone]
    ended = [run for run in ended if _worth_a_word(run)][:ENDED]
    if ended:
        st.subheader("Recent", anchor=False)
    for run in ended:
        _ended(run)


def _running(run: Run) -> None:
    job = jobs.progress_of(run)
    with st.container(border=True, key=f"job_{run.name}"):
        with _line():
            html.show_html(jobs_text.job_title(_title(run)), "content")
            st.button(
                "Cancel", key=f"cancel_{run.name}", on_click=jobs.cancel, args=(run,),
                disabled=job.cancelling,
            )  # fmt: skip
        demo = (run.config.request or {}).get("name") == "Demo"
        html.show_html(jobs_text.job_progress(job, demo))
        _curves(run)


def _ended(run: Run) -> None:
    job = jobs.progress_of(run)
    with st.container(border=True, key=f"job_{run.name}"):
        with _line():
            html.show_html(jobs_text.job_title(_title(run)), "content")
            if job.state == "done":
                if st.button("Open", key=f"open_{run.name}", type="primary"):
                    st.switch_page("views/overview/page.py", query_params={RUN: run.name})
            else:
                if run.config.request is not None:
                    st.button(
                        "Try again" if job.state == "failed" else "Resume", key=f"again_{run.name}",
                        on_click=_again, args=(run,), icon=":material/replay:",
                    )  # fmt: skip
                st.button(
                    "Dismiss", key=f"dismiss_{run.name}", on_click=_dismiss, args=(run.name,),
                    type="tertiary",
                )  # fmt: skip
        if job.state == "done":
            html.show_html(jobs_text.job_done(run.config.first_scores))
            with st.expander("Training curves"):
                _curves(run)
            return
        lines = [] if job.state == "cancelled" else jobs.last_log_lines(run, LINES)
        said = bool(lines) and lines[-1] == f"Error: {job.message}"
        html.show_html(jobs_text.job_end(job, [] if said else lines))


def _line() -> DeltaGenerator:
    """Return a container for a title and a button, side by side if there is room."""
    return st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    )


def _curves(run: Run) -> None:
    epochs = run.epochs
    if not epochs:
        return
    left, right = st.columns(2, gap="large")
    for column, what, word in ((left, "loss", "log loss"), (right, "accuracy", "accuracy")):
        with column:
            figure = charts.epochs_figure(epochs, what, word)
            chart(figure, f"{what}_{run.name}", f"{word} by epoch, training and validation")


def _worth_a_word(run: Run) -> bool:
    """Return whether a run ended with an error, or was started on this page."""
    try:
        return jobs.progress_of(run).state != "done" or run.config.request is not None
    except UserError:
        return False


def _title(run: Run) -> str:
    try:
        config = run.config
    except UserError as error:
        return str(error)
    return "  ·  ".join([run.title, config.network, config.data or ""])


def _again(run: Run) -> None:
    with show_user_errors():
        commands.start_again(run)


def _dismiss(name: str) -> None:
    st.session_state[_DISMISSED].add(name)
