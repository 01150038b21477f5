"""Predicts the sealed images of a run."""

from __future__ import annotations

import pandas as pd

from engine.data.dataset import QUARANTINE_COLUMNS, Dataset, Progress
from engine.data.sealing import SEALED
from engine.errors import UserError
from engine.model.extractor import open_model
from engine.model.predict import predict_split
from engine.runs.prediction_files import save_predictions
from engine.runs.run import Run
from engine.runs.sealed_images import sealed_images


def score_sealed(run: Run, progress: Progress | None = None) -> None:
    """Predict a run's sealed images and save the table ``sealed``.

    Raises
    ------
    UserError
        If the run has none, or they cannot be read.
    """
    images = sealed_images(run)
    extractor, head = open_model(run)
    features = extractor.features(run.data_root, images, progress)
    empty = pd.DataFrame(columns=QUARANTINE_COLUMNS, dtype=object)
    dataset = Dataset(run.data_root, images, empty, run.class_names).without(features.bad)
    if dataset.images.empty:
        raise UserError(f"no sealed image of run {run.name} can be read in {run.data_root}.")
    save_predictions(run.predictions_path(SEALED), predict_split(dataset, SEALED, features, head))
