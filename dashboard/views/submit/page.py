"""The Submit page: the checks, the content, and a button that writes and downloads the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.selection.run import run_name
from dashboard.shared import html, tables
from dashboard.shared.chart import chart
from dashboard.shared.escape import error_text, literal, one_line
from dashboard.shared.tables import Table
from dashboard.views.submit import charts, data, kaggle
from dashboard.views.submit.checks import checks_list, costs, needed, shown_checks, verdict
from dashboard.views.submit.download import deliver, send_file
from engine.analysis.fitted import FittedCorrection
from engine.competition.correction import given_bounds
from engine.competition.prepare import accept_costs, find_sample
from engine.competition.records import applied, list_submissions
from engine.competition.submission import Submission
from engine.competition.submission_csv import csv_blocks
from engine.errors import UserError
from engine.runs.opening import is_file, read_file
from engine.runs.predicted import predicted_tables
from engine.runs.run import Run
from engine.runs.run_list import open_run

PREVIEW, EARLIER = 8, 10
WRITTEN = "submit_written"


def page() -> None:
    name = run_name()
    st.header("Submit", anchor=False)
    if name is None:
        html.no_run("write a submission")
        return
    run = open_run(name)
    split = _pick_table(run)
    if split is None:
        st.write(
            "This run has no test images, so there is nothing to submit. Predict a folder of "
            f"them: `second-look predict {run.name} --data FOLDER`, or fit with one."
        )
        return
    test = tables.table(name, split)
    with st.container(key="submit_parts"):
        checks, action = st.columns([3, 2], gap="large")
    with action:
        sample = _sample(run, test)
    submission = data.submission(test, sample)
    with action:
        submission = _accepted(run, submission)
    with checks:
        st.subheader(verdict(submission.checks), anchor=False)
        html.show_html(checks_list(shown_checks(submission)), key="checks")
    with action:
        ready = _submit_button(run, submission)
        kaggle.send_form(run, submission, ready)
    first, second = st.columns([2, 3], gap="large")
    with first:
        st.subheader("First lines", anchor=False)
        st.code(_preview(submission), language=None)
        st.caption(f"{len(submission.ids):,} rows")
    with second:
        st.subheader("Submitted probabilities", anchor=False)
        histogram = data.submitted_histogram(test, _fitted(submission))
        limits = (submission.lower, submission.upper)
        figure = charts.submitted_figure(histogram, test.score_name, limits)
        edges = histogram.edges
        columns = {"from": edges[:-1], "to": edges[1:], "images": histogram.unlabelled}
        chart(figure, "submitted", "test images by submitted probability", columns)
    kaggle.sent_table()
    _earlier(run)
    deliver()


def _pick_table(run: Run) -> str | None:
    """Return the table of predictions to submit, chosen by the user if there are several."""
    own = tables.test_table(run.name)
    lines = {"test": f"test: the run's {len(own):,} test images"} if own else {}
    lines |= {table.name: table.line for table in predicted_tables(run) if table.n}
    if len(lines) < 2:
        return next(iter(lines), None)
    chosen: str = st.selectbox(
        "Predictions", list(lines), format_func=lambda name: one_line(lines[name]),
        key=f"submit_table_{run.name}", help="The run's test images, or a table made by `predict`.",
    )  # fmt: skip
    return chosen


def _sample(run: Run, test: Table) -> Path | None:
    """Let the user choose another sample file of the data folder, or name one elsewhere."""
    found, root = find_sample(run, test.predictions), run.data_root
    files = sorted(path for path in root.glob("*.csv") if path.is_file()) if root.is_dir() else []
    chosen = st.selectbox(
        "Sample file",
        [str(found or ""), *(str(path) for path in files if path != found)],
        format_func=lambda path: one_line(Path(path).name) or "none: the plain form id,label",
        key=f"submit_sample_{run.name}",
        accept_new_options=True,
        help="The competition's own file; it determines the columns, the ids and their order. "
        "Those beside the images are listed; type the path of another one.",
    )
    return Path(os.path.expanduser(chosen)).absolute() if chosen else None


def _accepted(run: Run, submission: Submission) -> Submission:
    """Show what is applied and the expected log loss; ask where it costs more than its noise."""
    chosen = submission.chosen
    if chosen is None:
        return submission
    st.markdown(literal(chosen.sentence))
    if not costs(submission):
        return submission
    if run.kept_bounds is not None:
        st.button(
            "Use the recommended correction", key="submit_recommended", icon=":material/target:",
            on_click=run.forget_bounds,
        )  # fmt: skip
    accepted = st.checkbox(
        "I understand that this is expected to raise the log loss, submit anyway",
        key=f"submit_cost_{run.name}_{submission.lower}_{submission.upper}",
    )
    return accept_costs(submission, accepted)


def _fitted(submission: Submission) -> FittedCorrection:
    if submission.chosen is None:
        return given_bounds(submission.lower, submission.upper)
    return submission.chosen.fitted


def _submit_button(run: Run, submission: Submission) -> bool:
    ready = submission.ok
    if submission.flagged:
        n = len(submission.flagged)
        what, get = ("image", "gets") if n == 1 else ("images", "get")
        st.markdown(
            f"{n:,} test {what} could not be read and {get} the class shares of the training set."
        )
        ready &= st.checkbox("I understand, submit anyway", key=f"submit_known_{run.name}_{n}")
    name = _file_name(run, submission)
    st.caption(literal(f"{_content(submission)} It is named {name}; a copy stays with the run."))
    pressed = st.button(
        "Write and download the file",
        type="primary",
        icon=":material/download:",
        disabled=not ready,
        key="submit_button",
        width="stretch",
    )
    if pressed and ready:
        try:
            file, content = data.write_submission_file(run, submission)
            send_file(name, content)
            st.session_state[WRITTEN] = (run.name, _written(file, name, submission))
        except UserError as error:
            st.error(error_text(error), icon=":material/error:")
    if failed := {check.name for check in submission.checks if check.passed is False}:
        st.caption(needed(failed))
    whose, text = st.session_state.get(WRITTEN, ("", ""))
    if whose == run.name:
        st.success(text, icon=":material/check:")
    return ready


def _file_name(run: Run, submission: Submission) -> str:
    """Return a name that tells run and correction, such as submission-NAME-clip-0.02-0.98.csv."""
    fitted = _fitted(submission)
    bounds = (fitted.lower, fitted.upper) != (0.0, 1.0)
    parts = [run.name, fitted.name, *((f"{fitted.lower:.4g}", f"{fitted.upper:.6g}") * bounds)]
    return f"submission-{'-'.join(parts)}.csv"


def _content(submission: Submission) -> str:
    """Return what the file will hold."""
    n, header = len(submission.ids), list(submission.header)
    shown = ",".join(header if len(header) <= 4 else [*header[:3], f"… {len(header) - 3} more"])
    return f"The file will have {n:,} row{'s' * (n != 1)} with the columns {one_line(shown)}."


def _written(file: Path, name: str, submission: Submission) -> str:
    """Return what was written, where, and what it is expected to score, as safe Markdown."""
    n, chosen = len(submission.ids), submission.chosen
    said = f"Wrote {n:,} row{'s' * (n != 1)} to {name}; a copy is kept as {file}."
    if chosen is not None and chosen.expected is not None:
        said += f" Expected log loss: {chosen.expected.log_loss:.4f}."
    return literal(said)


def _preview(submission: Submission) -> str:
    lines: list[str] = []
    for block in csv_blocks(submission):
        lines += block.decode().split("\n", PREVIEW)[:PREVIEW]
        if len(lines) > PREVIEW:
            break
    lines = [line for line in lines if line][: 1 + PREVIEW]
    return "\n".join(line if len(line) <= 300 else line[:299] + "…" for line in lines)


def _earlier(run: Run) -> None:
    records = list_submissions(run.folder / "submissions")
    st.subheader("Earlier submissions", anchor=False)
    if not records:
        st.caption("None yet. Every file written here is stored with the run.")
    for record in records[:EARLIER]:
        _record(run, record)
    if len(records) > EARLIER:
        with st.expander(f"{len(records) - EARLIER:,} more"):
            for record in records[EARLIER:]:
                _record(run, record)


def _record(run: Run, record: dict[str, Any]) -> None:
    file = run.folder / "submissions" / Path(str(record.get("file"))).name
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if reason := record.get("reason"):
            st.markdown(f"{literal(file.name)}: {literal(str(reason))}", width="content")
        else:
            score = (record.get("kaggle") or {}).get("score")
            parts = [
                str(record.get("created", ""))[:19].replace("T", " "),
                applied(record),
                f"{record.get('rows')} rows",
                *([f"scored {score}"] if score is not None else []),
            ]
            st.markdown("  ·  ".join(literal(part) for part in parts), width="content")
        pressed = st.button(
            "Download", key=f"again_{file.name}", icon=":material/download:", type="tertiary",
            disabled=not is_file(file),
        )  # fmt: skip
    if pressed:
        _download_again(file)


def _download_again(file: Path) -> None:
    try:
        send_file(file.name, read_file(file))
    except OSError as error:
        reason = UserError(f"{file} could not be read ({error.strerror}).")
        st.error(error_text(reason), icon=":material/error:")


page()
