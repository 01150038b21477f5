"""Composes and checks the submission of a finished run, the same way for every caller."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.competition.sample import Values, match_images
from engine.competition.submission import Submission, check_submission
from engine.data.sample_files import find_samples, sample_ids
from engine.errors import UserError, first_ten
from engine.runs.predictions import Predictions
from engine.runs.run import Run


def find_sample(run: Run, predictions: Predictions | None = None) -> Path | None:
    """Return the competition's sample file near the run's images, if there is one.

    Of several, the one with the most rows that have a prediction.
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
            predictions = run.predictions(submitted_table(run))
        except UserError:
            return samples[0]
    return max(samples, key=lambda file: _matched(file, predictions))


def submitted_table(run: Run, name: str | None = None) -> str:
    """Return which predictions are submitted: the run's test images, or a `predict` table.

    Raises
    ------
    UserError
        When there is no such table, or there are several and none was named.
    """
    made = run.predicted
    if name is not None:
        if name != "test" and name not in made:
            raise UserError(
                f"is no table of run {run.name}, which has {first_ten(['test', *made])}.",
                option="predictions",
                value=name,
            )
        return name
    if run.predictions_path("test").is_file() or not made:
        return "test"
    if len(made) > 1:
        raise UserError(
            f"run {run.name} has no test images of its own, and `predict` made {first_ten(made)}; "
            "name one of them as predictions."
        )
    return made[0]


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
    lower: float,
    upper: float,
    sample: Path | None = None,
    predictions: Predictions | None = None,
    *,
    values: Values | None = None,
    table: str | None = None,
) -> Submission:
    """Compose a submission from a run's test predictions and clip bounds, and check it.

    Parameters
    ----------
    sample
        The competition's sample file; by default the file beside the images.
    predictions
        The run's test predictions, if they have been read already.
    values
        Whether one value column holds a probability or a class, where the sample fits both.
    table
        Which predictions to hand in: "test", or what ``predict --data`` made; by default the
        test ones, or the only others there are.

    Raises
    ------
    UserError
        If the run has no test predictions, or the bounds or the sample file cannot be used.
    """
    name = "test" if predictions is not None else submitted_table(run, table)
    lost = run.quarantine_of(name)
    predictions = run.predictions(name) if predictions is None else predictions
    return check_submission(
        predictions,
        lower=lower,
        upper=upper,
        sample=sample or find_sample(run, predictions),
        quarantined=list(zip(lost["id"], lost["path"], strict=True)),
        base_rate=base_rate(run),
        positive=positive_index(run),
        form_of_values=values,
    )


def base_rate(run: Run) -> np.ndarray:
    """Return the share of each class among the training images, float64 (n_classes,)."""
    counts = run.config.train_counts
    shares = np.array([counts.get(name, 0) for name in run.class_names], dtype=np.float64)
    return shares / shares.sum() if shares.sum() else np.full(len(shares), 1 / len(shares))


def positive_index(run: Run) -> int | None:
    """Return the column of the positive class, or None for the default (the second of two)."""
    positive = run.config.positive
    return None if positive is None else run.class_names.index(positive)
