"""The steps that would lower a run's log loss, from predictions alone; no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from engine.analysis.blending import Blend
from engine.analysis.compare import Comparison as ComparedRuns
from engine.analysis.compared_corrections import Comparison as ComparedCorrections
from engine.analysis.compared_corrections import named
from engine.analysis.gain import REFITTING
from engine.analysis.intervals import group_values, proportion_interval
from engine.analysis.learning_curve import LearningCurve
from engine.analysis.metrics import loss_of
from engine.analysis.paired import paired_difference
from engine.analysis.suspect_ranking import LABEL
from engine.runs.next_steps import (
    AT_MOST,
    BESIDE,
    BLEND,
    CORRECTION,
    EXTRAPOLATED,
    IMAGES,
    LABELS,
    MEASURED,
    RUN,
    VIEWS,
    NextStep,
)
from engine.runs.predictions import Predictions
from engine.runs.verdicts import WRONG, Verdicts


def in_order(steps: Sequence[NextStep]) -> tuple[NextStep, ...]:
    """Return the steps with the largest expected gain first, those without a gain last."""

    def order(step: NextStep) -> tuple[bool, float]:
        known = step.gain if step.gain is not None else step.interval and step.interval[1]
        return step.gain is not None, known or 0.0

    return tuple(sorted(steps, key=order, reverse=True))


def correction_step(found: ComparedCorrections, run: str) -> NextStep | None:
    """Return the step of applying the recommended correction, None where none is recommended."""
    if found.recommended == "none":
        return None
    gain, (low, high) = found.choice.gain.difference, found.choice.gain.interval
    return NextStep(
        CORRECTION,
        f"Apply {named(found.chosen)}",
        -gain,
        (-high, -low),
        MEASURED,
        f"Cross-validated on {found.n:,} images; `submit` applies it by default.",
        "no computation",
        ("recommend", run),
    )


def labels_step(
    suspects: pd.DataFrame, table: Predictions, verdicts: Verdicts, run: str
) -> NextStep | None:
    """Return the step of reviewing suspected labels, None where none is left.

    The largest possible gain is their loss with the given labels minus their loss with the
    suggested classes. Verdicts tell which share of the labels is wrong; without verdicts the gain
    is at most this.

    Parameters
    ----------
    suspects : the run's list
    table : predictions of the labelled images, which the suspects are among
    """
    known = {name: column for column, name in enumerate(table.class_names)}
    rows = suspects[(suspects["kind"] == LABEL) & suspects["suggested"].isin(known.keys())]
    at = pd.Index(table.ids.to_pylist()).get_indexer(rows["id"])
    rows, at = rows[at >= 0], at[at >= 0]
    columns = [rows[name].map(known) for name in ("label", "suggested")]
    given, other = (table.probabilities[at, c.fillna(0).astype(int)] for c in columns)
    carried = (loss_of(given) - loss_of(other)) / len(table)
    found = [verdicts.of(*key) for key in zip(rows["sha256"], rows["label"], strict=True)]
    judged = np.array([each is not None for each in found], dtype=bool)
    wrong = sum(each is not None and each.verdict == WRONG for each in found)
    n, total = int((~judged).sum()), float(carried[~judged].sum())
    if not n or total <= 0:
        return None
    title = f"Review {n:,} suspected label{'s' * (n != 1)}"
    time = f"{n:,} image{'s' * (n != 1)} to look at"
    reason = f"They account for {total:.4f} of the log loss, the decrease if all are wrong"
    after = "A refit with verdicts measures what correct labels gain on other images."
    command = ("triage", run)
    if not judged.any():
        reason = f"{reason}. {after}"
        return NextStep(LABELS, title, None, (0.0, total), AT_MOST, reason, time, command)
    share = wrong / int(judged.sum())
    low, high = proportion_interval(wrong, int(judged.sum()))
    reason = f"{reason}; {wrong:,} of {int(judged.sum()):,} reviewed suspects were. {after}"
    return NextStep(
        LABELS, title, share * total, (low * total, high * total), EXTRAPOLATED, reason, time,
        command,
    )  # fmt: skip


def images_step(curve: LearningCurve, command: tuple[str, ...]) -> NextStep:
    """Return the step of labelling as many images again as there are."""
    points = ", ".join(
        f"{loss:.4f} with {size:,}" for size, loss in zip(curve.sizes, curve.losses, strict=True)
    )
    return NextStep(
        IMAGES,
        f"Label {curve.n_train:,} more images, twice as many",
        curve.gain,
        curve.interval,
        EXTRAPOLATED,
        f"The last layer, trained on parts of the images, has a log loss of {points}; a power law "
        "through these gives the gain.",
        f"one pass over {curve.n_train:,} images, and the time to label them",
        command,
    )


def views_step(
    views: int, own: np.ndarray, more: np.ndarray, groups: np.ndarray, command: tuple[str, ...]
) -> NextStep:
    """Return the step of fitting with more views, whose features are cached.

    Parameters
    ----------
    own, more : losses of the same images with the run's views and with ``views``
    groups : array of shape (n,), equal where images belong together; they count as one
    """
    gain, interval = _gain_of_other_features(own, more, groups)
    return NextStep(
        VIEWS,
        f"Fit with {views} views of each image",
        gain,
        interval,
        MEASURED,
        f"On {len(own):,} images, by last layers trained without them, the log loss is "
        f"{more.mean():.4f} instead of {own.mean():.4f}.",
        "seconds: the features are cached",
        command,
        value=str(views),
    )


def side_by_side_step(
    other: str, own: np.ndarray, both: np.ndarray, groups: np.ndarray, command: tuple[str, ...]
) -> NextStep:
    """Return the step of fitting with another backbone beside the run's, both of them cached.

    Parameters
    ----------
    other : name of the other backbone
    own, both : losses of the same images with the run's features, and with both side by side
    groups : array of shape (n,), equal where images belong together; they count as one
    """
    gain, interval = _gain_of_other_features(own, both, groups)
    return NextStep(
        BESIDE,
        f"Fit with {other} side by side",
        gain,
        interval,
        MEASURED,
        f"On {len(own):,} images, by last layers trained without them, at the run's penalty, the "
        f"log loss is {both.mean():.4f} with the features of both side by side, and "
        f"{own.mean():.4f} with its own.",
        "seconds: the features are cached",
        command,
        value=other,
    )


def _gain_of_other_features(
    own: np.ndarray, other: np.ndarray, groups: np.ndarray
) -> tuple[float, tuple[float, float]]:
    """Return the gain of a refit with other features, and its interval."""
    gain, low, high = paired_difference(group_values(own, groups), group_values(other, groups))
    below, above = (REFITTING**0.5 * (end - gain) for end in (low, high))
    return gain, (gain + below, gain + above)


def run_step(compared: ComparedRuns, title: str) -> NextStep:
    """Return the step of using another run of the same images."""
    gain, low, high = compared.log_loss_difference
    other = compared.names[1]
    return NextStep(
        RUN,
        f"Use run {title}",
        gain,
        (low, high),
        MEASURED,
        f"On {compared.n:,} images that both predicted, its log loss is "
        f"{compared.log_loss[1]:.4f} instead of {compared.log_loss[0]:.4f}.",
        "no computation",
        ("compare", *compared.names),
        run=other,
    )


def blend_step(found: Blend, n: int, names: tuple[str, str], title: str) -> NextStep:
    """Return the step of blending with another run of the same images."""
    return NextStep(
        BLEND,
        f"Blend with run {title}",
        found.gain[0],
        found.gain[1:],
        MEASURED,
        f"With weights chosen on other images, the log loss of {n:,} images is "
        f"{found.cross_validated:.4f}; that of the better of the two runs alone is "
        f"{found.baseline:.4f}.",
        "seconds",
        ("blend", *names),
        run=names[1],
    )
