"""The Kaggle part of the Submit page: sending a submission, and its score."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from dashboard.shared import html
from dashboard.shared.escape import literal
from engine.analysis.compared_corrections import named
from engine.competition.kaggle import NO_CREDENTIALS, has_credentials
from engine.competition.records import write_submission
from engine.competition.sending import (
    MAX_MESSAGE,
    KaggleScore,
    SentSubmission,
    check_sending,
    send_submission,
    sent_submissions,
    wait_for_score,
)
from engine.competition.submission import Submission
from engine.errors import UserError
from engine.runs.run import Run
from engine.runs.run_list import open_run

SHOWN, WAIT_SECONDS = 10, 30.0
_MESSAGE = "submit_kaggle_message"


def send_form(run: Run, submission: Submission, ready: bool) -> None:
    """Show the form that sends the submission; enabled if ``ready``."""
    if not has_credentials():
        with st.expander("Send it to Kaggle", icon=":material/key:"):
            st.markdown(
                "Upload the file on the competition's page, under **Submit predictions**. "
                f"To send it from here, give it your Kaggle token. {literal(NO_CREDENTIALS)}"
            )
        return
    sent = sent_submissions()
    competition = st.text_input(
        "Competition",
        value=sent[0].competition if sent else "",
        placeholder="dogs-vs-cats-redux-kernels-edition",
        help="The last part of its address on kaggle.com.",
        key="submit_competition",
    )
    message = st.text_input(
        "Message",
        value=_message(submission),
        max_chars=MAX_MESSAGE,
        key=f"submit_message_{submission.lower}_{submission.upper}",
    )
    pressed = st.button(
        "Send to Kaggle",
        icon=":material/send:",
        disabled=not (ready and competition.strip() and message.strip()),
        key="submit_send",
        width="stretch",
    )
    if pressed:
        with st.spinner("Sending to Kaggle, then waiting for the score…"):
            st.session_state[_MESSAGE] = _send(run, submission, competition, message)
        st.rerun()
    if message := st.session_state.pop(_MESSAGE, None):
        good, text = message
        (st.success if good else st.error)(literal(text))


def sent_table() -> None:
    """Show the sent submissions: public score, validation log loss and their gap."""
    sent = sent_submissions()
    if not sent:
        return
    st.subheader("Public score and validation", anchor=False)
    head = ("Submission", "Valid log loss", "Public score", "Gap")
    html.show_html(html.table(head, [_line(entry) for entry in sent[:SHOWN]], whole=True))
    if gaps := gap_note(sent):
        st.caption(literal(gaps))
    waiting = [entry for entry in sent if entry.status == "pending" and not entry.deleted]
    if waiting and st.button("Check score", icon=":material/refresh:", key="submit_look"):
        with st.spinner("Asking Kaggle…"):
            st.session_state[_MESSAGE] = _look(waiting)
        st.rerun()


def gap_note(sent: list[SentSubmission]) -> str:
    """Return how far public scores differ from validation in the competition used last.

    The gap is the public score minus the validation log loss at the same bounds.
    """
    last = sent[0].competition
    gaps = [s.gap for s in sent if s.competition == last and s.gap is not None]
    if not gaps:
        return ""
    n = len(gaps)
    over = f"For {n} submissions" if n > 1 else "For one submission"
    spread = f" (from {min(gaps):+.5f} to {max(gaps):+.5f})" if n > 1 else ""
    return (
        f"{over} to {last} the public score minus the validation log loss at the same bounds was "
        f"{sum(gaps) / n:+.5f}{' on average' if n > 1 else ''}{spread}; this is meaningful only if "
        "the competition scores by log loss."
    )


def _send(run: Run, submission: Submission, competition: str, message: str) -> tuple[bool, str]:
    try:
        name = check_sending(competition, message, list(submission.flagged), accepted=True)
        file = write_submission(
            run.folder / "submissions", submission, run=run.name, now=datetime.now(UTC)
        )
        sent = send_submission(run, file, name, message)
        known = "" if sent.new else " The same file had been sent before and was not sent again."
        sent = wait_for_score(file, WAIT_SECONDS)
    except (UserError, OSError) as error:
        return False, str(error)
    return True, _scored(sent) + known


def _look(waiting: list[SentSubmission]) -> tuple[bool, str]:
    texts = []
    try:
        for entry in waiting:
            folder = open_run(entry.run).folder / "submissions"
            texts.append(_scored(wait_for_score(folder / Path(entry.file).name, 0)))
    except (UserError, OSError) as error:
        return False, str(error)
    return True, " ".join(texts)


def _scored(sent: KaggleScore) -> str:
    if sent.score is None:
        return f"Submission {sent.ref} is at Kaggle but has no score yet."
    return f"Submission {sent.ref} has the public score {sent.score:.5f}."


def _message(submission: Submission) -> str:
    if submission.chosen is None:
        return f"bounds {submission.lower:.6g} and {submission.upper:.9g}"
    return named(submission.chosen.fitted)[:MAX_MESSAGE]


def _line(entry: SentSubmission) -> list[str]:
    def figure(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    sent = entry.sent[:16].replace("T", " ")
    within = entry.correction + (" · deleted run" if entry.deleted else "")
    return [
        f"{sent} · {entry.competition} · ref {entry.ref} · {within}",
        figure(entry.valid_log_loss, ".5f"),
        figure(entry.score, ".5f") or ("failed" if entry.status == "error" else "waiting"),
        figure(entry.gap, "+.5f"),
    ]
