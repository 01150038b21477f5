"""The steps that would lower the log loss of a run most, with their expected gains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

from engine.analysis.compare import compare
from engine.analysis.metrics import log_loss
from engine.analysis.next_steps import (
    blend_step,
    correction_step,
    in_order,
    labels_step,
    run_step,
)
from engine.competition.blend import prepare_blend
from engine.competition.correction import compared
from engine.data.image_groups import image_groups
from engine.errors import UserError
from engine.library.run import Run
from engine.library.run_list import opened
from engine.runs import run_list as stored
from engine.runs.contents import contents
from engine.runs.next_steps import BESIDE, NextStep, NextSteps, next_steps_of, save_next_steps
from engine.runs.opening import is_file
from engine.runs.progress import Progress
from engine.runs.triage import load_triage, reviewed_split, triage_path
from engine.runs.verdicts import load_verdicts

_MOST_RUNS = 6  # other runs of the same images, the newest, that are compared and blended


def next_steps(run: Run | str, *, progress: Progress | None = None) -> NextSteps:
    """Measure what would lower the log loss of a run, and save the steps beside it.

    The gain is measured for other runs of the same images, alone and blended with this one; for
    more images (a learning curve) and more views, by heads on cached features; for the recommended
    correction; and for the suspected labels that `triage` has found. No image is passed through a
    network.

    Parameters
    ----------
    run : Run or str
        A run, its name, or ``"latest"``.
    progress : callable, optional
        Called with ``(stage, done, total)``.

    Returns
    -------
    NextSteps
        ``steps``, the largest expected gain first, each with ``title``, ``gain``, ``interval``,
        ``source``, ``reason``, ``time`` and ``command``; ``notes`` on what cannot be measured;
        ``to_pandas()``.

    Raises
    ------
    UserError
        When the run has no labelled predictions.

    Examples
    --------
    >>> import engine
    >>> found = engine.next_steps("latest")
    >>> sorted({step.kind for step in found.steps} - {"run", "blend"})
    ['backbone', 'views']
    >>> found.to_pandas().columns.tolist()[:4]
    ['kind', 'title', 'gain', 'low']
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # see `engine.cli.embed`
    run = opened(run)
    report = progress or (lambda *_: None)
    with next_steps_of(run).making():
        split = run.labelled_split
        table = run.predictions(split)
        if not len(table) or not table.labelled:
            raise UserError(f"run {run.name} has no labelled images, so it has no log loss.")
        report("next", 0, 4)
        notes: list[str] = []
        steps = _from_predictions(run, notes)
        report("next", 1, 4)
        others = list(_others(run))
        steps += _from_other_runs(run, others)
        report("next", 2, 4)
        steps += _from_features(run, others, notes)
        report("next", 4, 4)
        found = NextSteps(
            run.name, split, len(table), log_loss(table.y_true, table.probabilities),
            f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", in_order(steps), tuple(notes),
        )  # fmt: skip
        save_next_steps(run, found)
    return found


def _from_predictions(run: Run, notes: list[str]) -> list[NextStep]:
    """Return the steps of the correction and of the suspected labels."""
    corrections = compared(run)
    correction = corrections and correction_step(corrections, run.name)
    if corrections is None:
        notes.append("Correction: too few labelled images to compare corrections.")
    elif correction is None:
        notes.append(f"Correction: {corrections.sentence}")
    labels = None
    if not is_file(triage_path(run)):
        if run.config.head_sha256:
            notes.append("Labels: suspected labels have not been searched for.")
    else:
        reviewed = run.predictions(reviewed_split(run))
        labels = labels_step(load_triage(run), reviewed, load_verdicts(), run.name)
        if labels is None:
            notes.append("Labels: no suspected label is left to review.")
    return [step for step in (correction, labels) if step]


def _from_other_runs(run: Run, others: list[Run]) -> list[NextStep]:
    """Return the best other run of the same images, and the best blend with one."""
    singles, blends = [], []
    own = run.predictions(run.labelled_split)
    groups = image_groups(run, run.labelled_split, own)
    own_contents = contents(run, own)
    for other in others:
        title = other.title
        if title == other.name:
            title = f"{other.config.network}, {title}"
        try:
            table = other.predictions(other.labelled_split)
            found = compare(
                own, table, names=(run.name, other.name), groups=groups,
                contents=(own_contents, contents(other, table)),
            )  # fmt: skip
            singles.append(run_step(found, title))
            if found.losses[0].tolist() != found.losses[1].tolist():
                prepared = prepare_blend([run, other])
                names = (run.name, other.name)
                n = len(prepared.joined.tables[0])
                blends.append(blend_step(prepared.found, n, names, title))
        except UserError:  # no image in common, or test images that differ
            continue
    best = [max(each, key=lambda step: step.gain or 0.0) for each in (singles, blends) if each]
    return [step for step in best if step.gain and step.gain > 0]


def _others(run: Run) -> Iterator[Run]:
    """Yield the newest other finished runs of the same images and classes."""
    config, found = run.config, 0
    members = {str(each.get("run")) for each in (config.blend or {}).get("members", ())}
    for other in stored.list_runs():
        if found == _MOST_RUNS or other.name == run.name or other.name in members:
            continue
        try:
            its = other.config
            same = config.root is not None and its.root == config.root
            if same and its.class_names == config.class_names and other.status.state == "done":
                found += 1
                yield Run(other.folder)
        except UserError:
            continue


def _from_features(run: Run, others: list[Run], notes: list[str]) -> list[NextStep]:
    """Return the steps that need the run's features."""
    if run.config.head_sha256 is None:
        what = "a blend" if run.config.blend else "imported"
        notes.append(f"More images, views and backbones: the run is {what} and has no features.")
        return []
    from engine.model.next_steps import feature_steps

    try:
        found = feature_steps(run, others)
    except UserError as error:
        notes.append(f"More images, views and backbones: {error}")
        return []
    notes += found.notes
    return [s for s in found.steps if s.kind != BESIDE or (s.gain is not None and s.gain > 0)]
