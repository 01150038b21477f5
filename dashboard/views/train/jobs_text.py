"""Texts about running and ended fits; all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shared.escape import literal_html
from engine.runs.jobs import JobProgress

STAGES = {
    "draw": "Drawing",
    "list": "Reading files",
    "decode": "Checking images",
    "features": "Extracting features",
    "train": "Training",
    "predict": "Predicting",
}
STATES = {"failed": "Failed", "cancelled": "Cancelled", "lost": "Lost", "done": "Finished"}


def job_title(text: str) -> str:
    """Return the title line of a fit."""
    return f'<div class="sl-name">{literal_html(text)}</div>'


def job_progress(job: JobProgress, whole_network: bool, demo: bool) -> str:
    """Return the progress of a running fit: steps, images, speed and remaining time."""
    steps = ["list", "decode", "train", "features", "predict"]
    steps = steps if whole_network else ["list", "features", "train", "predict"]
    steps = ["draw", *steps] if demo else steps
    at = steps.index(job.stage) if job.stage in steps else -1
    words = "<i>›</i>".join(
        f'<span class="{"now" if i == at else "past" if i < at else ""}">{STAGES[step]}</span>'
        for i, step in enumerate(steps)
    )
    share = min(job.done / job.total, 1) if job.total else 0
    if job.cancelling:
        state = "Stopping…"
    elif not job.stage:
        state = "Starting…"
    else:
        state = f"{job.done:,} of {job.total:,}"
    rate = f"{job.images_per_second:,.0f} images a second" if job.images_per_second else ""
    left = "" if job.seconds_left is None else f"{duration(job.seconds_left)} left"
    return (
        f'<div class="sl-steps">{words}</div><div class="sl-bar" role="progressbar" '
        f'aria-valuenow="{share:.0%}"><div style="width:{100 * share:.1f}%"></div></div>'
        f'<div class="sl-row"><span>{state}</span><span>{rate}</span><span>{left}</span></div>'
    )


def job_done(accuracy: object, log_loss: object) -> str:
    """Return the scores of a finished fit."""
    scores = [
        f"{name} {value:{form}}"
        for name, value, form in (("accuracy", accuracy, ".2%"), ("log loss", log_loss, ".5f"))
        if isinstance(value, float)
    ]
    return f'<div><span class="sl-state">Finished.</span> {", ".join(scores)}</div>'


def job_end(job: JobProgress, lines: Sequence[str]) -> str:
    """Return how an unfinished fit ended: its message, its step and its last output."""
    log = "\n".join(literal_html(line) for line in lines)
    where = ""
    if job.state == "lost" and job.stage in STAGES and job.total:
        where = f" Last step: {STAGES[job.stage].lower()}, {job.done:,} of {job.total:,}."
    return (
        f'<div><span class="sl-state bad">{STATES.get(job.state, "Lost")}.</span> '
        f"{literal_html(job.message)}{where}</div>"
        + (f'<pre class="sl-log">{log}</pre>' if log else "")
    )


def duration(seconds: float) -> str:
    """Return a duration with a suitable unit."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
