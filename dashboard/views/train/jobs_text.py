"""Texts about running and ended fits."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from dashboard.shared.escape import form_words
from dashboard.shared.html import rendered
from dashboard.views.train.form import WEIGHTS
from engine.runs.jobs import JobProgress
from engine.runs.run_results import Scores
from engine.text import duration

STAGES = {
    "draw": "Drawing",
    "list": "Reading files",
    "features": "Extracting features",
    "compare": "Comparing images",
    "train": "Training",
    "predict": "Predicting",
}
STATES = {"failed": "Failed", "cancelled": "Cancelled", "lost": "Lost", "done": "Finished"}


def job_title(text: str) -> Markup:
    """Return the title line of a fit."""
    return rendered(__file__, "title", text=text)


def job_progress(job: JobProgress, demo: bool) -> Markup:
    """Return the progress of a running fit: steps, images, speed and remaining time."""
    steps = ["list", "features", "compare", "train", "predict"]
    steps = ["draw", *steps] if demo else steps
    at = steps.index(job.stage) if job.stage in steps else -1
    marked = [
        (STAGES[step], "now" if i == at else "past" if i < at else "")
        for i, step in enumerate(steps)
    ]
    share = min(job.done / job.total, 1) if job.total else 0
    if job.cancelling:
        state = "Stopping…"
    elif job.state == "queued":
        state = "Starting the process and loading PyTorch…"
    elif not job.stage:
        state = "Finding the images and the weights…"
    elif job.stage == "train" and not job.total:
        state = "Solving the last layer…"
    elif job.done < job.total:
        state = f"{job.done:,} of {job.total:,}"
    else:
        state = f"All {job.total:,} done; preparing the next step…"
    rate = f"{job.images_per_second:,.0f} images a second" if job.images_per_second else ""
    left = "" if job.seconds_left is None else f"{duration(job.seconds_left)} left"
    return rendered(
        __file__, "progress", steps=marked, share=f"{share:.0%}", width=f"{100 * share:.1f}",
        state=state, rate=rate, left=left,
    )  # fmt: skip


def job_done(first_scores: tuple[str, Scores] | None) -> Markup:
    """Return the scores of a finished fit, and of which images they are."""
    found = ""
    if first_scores:
        kind, scores = first_scores
        found = f"{kind} accuracy {scores.accuracy:.2%}, log loss {scores.log_loss:.5f}"
    return rendered(__file__, "end", state="Finished", bad=False, message=found)


def job_end(job: JobProgress, lines: Sequence[str]) -> Markup:
    """Return how an unfinished fit ended: its message, its step and its last output."""
    where = ""
    if job.state == "lost" and job.stage in STAGES and job.total:
        where = f" Last step: {STAGES[job.stage].lower()}, {job.done:,} of {job.total:,}."
    return rendered(
        __file__, "end", state=STATES.get(job.state, "Lost"), bad=True,
        message=_on_form(job.message) + where, lines=list(lines),
    )  # fmt: skip


def _on_form(message: str) -> str:
    """Return the message of a command with fields and choices in the words of the form."""
    said = form_words(message)
    for value, shown in WEIGHTS.items():
        said = said.replace(f"“Initial weights” {value}", f"“Initial weights”, {shown}")
    return said
