"""Texts of the Overview page."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from dashboard.shared.escape import literal
from dashboard.shared.html import rendered
from dashboard.shared.tables import Table
from dashboard.views.overview.data import Overview
from dashboard.views.overview.thresholds import decided, saved_threshold
from engine.runs.run_list import open_run


def note(name: str) -> str:
    """Return the note on a run as safe Markdown, its lines kept."""
    return "  \n".join(map(literal, open_run(name).about.note.splitlines()))


def label_edit_effect(name: str) -> str:
    """Return the effect of a refit with verdicts as safe Markdown, or '' for any other run."""
    config = open_run(name).config
    change, made = config.label_edit_effect, config.label_edits
    if change is None or made is None:
        return ""
    low, high = change.interval
    verdict = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    return (
        f"**With verdicts, {verdict}**: {made.relabelled:,} relabelled, {made.dropped:,} "
        f"left out. On {change.n:,} images with one fixed set of labels the log loss changed "
        f"from {change.log_loss_before:.4f} to {change.log_loss_after:.4f}, a gain of "
        f"{change.difference:.4f} (95%: {low:.4f} to {high:.4f}), compared with run "
        f"{literal(change.against)}."
    )


_ACCURACY = (
    "Share of images whose most likely class is the true one, with the Clopper–Pearson interval."
)
_LOG_LOSS = (
    "Mean of -log of the true class's probability; the interval counts one error that has not been "
    "seen."
)
_CALIBRATION = (
    "Mean distance between confidence and accuracy in 15 bins; even that of a calibrated model is "
    "above 0, by chance."
)


def measures(table: Table, view: Overview, n_quarantined: int) -> Markup:
    """Return the metrics of the run in one row."""
    wrong = int(view.matrix.sum() - np.trace(view.matrix))
    scores = view.scores
    a, b, expected = (
        scores.accuracy_interval,
        scores.log_loss_interval,
        (scores.calibration_error_expected),
    )
    of = f"of {table.images}"
    if view.n_groups < len(table):
        of += f" in {view.n_groups:,} groups"
    accuracy = f"95 % interval {a[0]:.2%} to {a[1]:.2%}"
    if (threshold := saved_threshold(table)) is not None:
        accuracy += f"; at threshold {threshold:g}: {decided(table, threshold).accuracy[0]:.2%}"
    cells = [
        ("Accuracy", f"{scores.accuracy:.2%}", accuracy, _ACCURACY),
        (
            "Log loss",
            f"{scores.log_loss:.4f}",
            f"95 % interval {b[0]:.4f} to {b[1]:.4f}",
            _LOG_LOSS,
        ),
        ("Incorrect", f"{wrong:,}", of, "Images whose most likely class is not the true one."),
        (
            "Calibration error",
            f"{scores.calibration_error:.2%}",
            f"calibrated models: about {expected.mean:.2%}, rarely over "
            f"{expected.percentile_95:.2%}",
            _CALIBRATION,
        ),
        ("Unreadable files", f"{n_quarantined:,}", "images that cannot be read", ""),
    ]
    return rendered(__file__, "measures", cells=cells)
