"""Composes and checks the submission of a finished run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.analysis.clipping import check_bounds
from engine.competition.correction import ChosenCorrection, corrected, positive_index
from engine.competition.sample import Values, match_images
from engine.competition.submission import Submission, check_submission
from engine.data.sample_files import find_samples, sample_ids
from engine.errors import UserError
from engine.runs.predicted import chosen_table
from engine.runs.predictions import Predictions
from engine.runs.run import Run


def find_sample(run: Run, predictions: Predictions | None = None) -> Path | None:
    """Return the competition's sample file near the run's images, if there is one.

    If there are several, it is the one with the most rows that have a prediction.
    """
    config = run.config
    kept = (config.origin or {}).get("samples", [])
    data = Path(config.data or run.data_root)
    near = find_samples(run.data_root, data, data.parent, *predicted_folders(run))
    samples = list(dict.fromkeys([*(Path(p) for p in kept if Path(p).is_file()), *near]))
    if len(samples) < 2:
        return samples[0] if samples else None
    if predictions is None:
        try:
            predictions = run.predictions(chosen_table(run))
        except UserError:
            return samples[0]
    return max(samples, key=lambda file: _matched(file, predictions))


def predicted_folders(run: Run) -> list[Path]:
    """Return the folders that `predict --data` was given, and those above them."""
    given = [Path(text) for text in run.config.predicted.values()]
    return [folder for path in given for folder in (path, path.parent)]


def _matched(sample: Path, predictions: Predictions) -> int:
    try:
        rows = match_images(sample_ids(sample), predictions.ids, predictions.paths)
    except UserError:
        return -1
    return int(np.count_nonzero(rows >= 0))


def prepare_submission(
    run: Run,
    chosen: ChosenCorrection,
    sample: Path | None = None,
    predictions: Predictions | None = None,
    *,
    values: Values | None = None,
    table: str | None = None,
    accept_cost: bool = False,
) -> Submission:
    """Check what would be submitted: the run's test predictions, corrected.

    Parameters
    ----------
    chosen
        The correction; see :func:`~engine.competition.correction.choose_correction`.
    sample
        The competition's sample file; by default the one beside the images.
    predictions
        The table, if it has been read already; by default the run's test predictions.
    values
        Whether the only value column holds a probability or a class, if the sample fits both.
    table
        Which predictions to submit; see `chosen_table`.
    accept_cost
        Whether a correction that raises the log loss beyond noise passes its check.

    Raises
    ------
    UserError
        When the run has no test predictions, or the bounds or the sample cannot be used.
    """
    check_bounds(chosen.fitted.lower, chosen.fitted.upper)
    name = chosen_table(run, table) if predictions is None else table or "test"
    lost = run.quarantine_of(name)
    own = predictions is None  # read for this submission alone
    predictions = run.predictions(name) if predictions is None else predictions
    p = corrected(predictions.probabilities, chosen.fitted, in_place=own)
    predictions = replace(predictions, probabilities=p)
    lower, upper = chosen.fitted.bounds_of(p)
    checked = check_submission(
        predictions,
        lower=lower,
        upper=upper,
        sample=sample or find_sample(run, predictions),
        quarantined=list(zip(lost["id"], lost["path"], strict=True)),
        base_rate=base_rate(run),
        positive=positive_index(run),
        form_of_values=values,
    )
    return accept_costs(replace(checked, chosen=chosen), accept_cost)


def accept_costs(submission: Submission, accepted: bool) -> Submission:
    """Return the submission with its correction's check passed if the cost is accepted."""
    if submission.chosen is None:
        return submission
    check = submission.chosen.check(accepted)
    others = [one for one in submission.checks if one.name != check.name]
    return replace(submission, checks=[*others, check])


def base_rate(run: Run) -> np.ndarray:
    """Return the share of each class among the training images, float64 (n_classes,)."""
    counts = run.config.train_counts
    shares = np.array([counts.get(name, 0) for name in run.class_names], dtype=np.float64)
    return shares / shares.sum() if shares.sum() else np.full(len(shares), 1 / len(shares))
