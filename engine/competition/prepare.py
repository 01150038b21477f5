"""Composes and checks the submission of a finished run, the same way for every caller."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.competition.submission import Submission, check_submission
from engine.runs.predictions import Predictions
from engine.runs.run import Run

SAMPLE_NAMES = ("sample_submission.csv", "sampleSubmission.csv")


def find_sample(run: Run) -> Path | None:
    """Return the path of the sample file beside the run's images, or None."""
    folders = (run.data_root, Path(run.config.data or run.data_root))
    return next((f / n for f in folders for n in SAMPLE_NAMES if (f / n).is_file()), None)


def prepare_submission(
    run: Run,
    lower: float,
    upper: float,
    sample: Path | None = None,
    predictions: Predictions | None = None,
) -> Submission:
    """Compose a submission from a run's test predictions and clip bounds, and check it.

    Parameters
    ----------
    sample
        The competition's sample file; by default the file beside the images.
    predictions
        The run's test predictions, if they have been read already.

    Raises
    ------
    UserError
        If the run has no test predictions, or the bounds or the sample file cannot be used.
    """
    quarantine = run.quarantine
    unreadable = quarantine[quarantine["split"] == "test"]
    return check_submission(
        run.predictions("test") if predictions is None else predictions,
        lower=lower,
        upper=upper,
        sample=sample or find_sample(run),
        quarantined=list(zip(unreadable["id"], unreadable["path"], strict=True)),
        base_rate=base_rate(run),
        positive=positive_index(run),
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
