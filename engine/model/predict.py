"""Predicts images with a run's model, using cached features where possible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engine.analysis.metrics import accuracy, log_loss
from engine.data.dataset import Dataset, Progress, load_images
from engine.data.layouts import DataSource
from engine.errors import UserError
from engine.model.extractor import open_model
from engine.model.features import Features
from engine.model.head import Head
from engine.runs.predicted import note_predicted, table_name
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import UNKNOWN, Predictions, make_predictions
from engine.runs.run import Run


@dataclass(frozen=True)
class Predicted:
    """The predictions of images by a fitted run.

    Attributes
    ----------
    predictions : the table of probabilities
    dataset : the images, with those that cannot be read in its quarantine
    forward_passes : number of views that passed through the network
    file : where the predictions are stored
    """

    predictions: Predictions
    dataset: Dataset
    forward_passes: int
    file: Path

    @property
    def quarantine(self) -> pd.DataFrame:
        """Return the images that cannot be read: path, reason, id, split, label."""
        return self.dataset.quarantine

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per image: id, path, label (None where unknown), predicted, p_<class>."""
        return self.predictions.to_pandas()

    def summary(self) -> dict[str, Any]:
        """Return file, n, quarantined, forward_passes, and with labels accuracy and log_loss."""
        made = self.predictions
        scores = (
            {
                "accuracy": accuracy(made.y_true, made.probabilities),
                "log_loss": log_loss(made.y_true, made.probabilities),
            }
            if made.labelled
            else {}
        )
        return {
            "file": str(self.file),
            "n": len(made),
            "quarantined": len(self.dataset.quarantine),
            "forward_passes": self.forward_passes,
            **scores,
        }


def predict(run: Run, data: Path | None = None, progress: Progress | None = None) -> Predicted:
    """Predict the images of ``data`` (by default the run's test images) and save the table.

    The table is saved in the run's ``predictions``, under the folder's name and a checksum of its
    images, or replaces ``test.parquet`` for the run's test images.

    Raises
    ------
    UserError
        If the run or the images cannot be used.
    """
    extractor, head = open_model(run)
    config = run.config
    has_test = config.n.test > 0 and config.data is not None
    if data is None and not has_test:
        raise UserError(f"run {run.name} has no test images of its own; name a folder as data.")
    own = has_test and (data is None or data.resolve() == Path(config.data or "").resolve())
    data = data or Path(config.data or "")
    if own:
        dataset = load_images(_source(run), run.class_names, progress, own=True)
    else:
        dataset = load_images(data, run.class_names, progress)
    features = extractor.features(dataset.root, dataset.images, progress)
    if len(features.values) and features.values.shape[1] != head.weight.shape[1]:
        raise UserError(f"run {run.name} is damaged: its head does not fit {extractor.backbone}.")
    dataset = dataset.without(features.bad)
    if dataset.images.empty:
        raise UserError(f"{data} contains no image that can be decoded.")
    predictions = predict_split(dataset, "test", features, head)
    images = dataset.images[["id", "sha256", "label"]].itertuples(index=False, name=None)
    name = "test" if own else table_name(data, images)
    file = run.predictions_path(name)
    save_predictions(file, predictions)
    if not own:
        run.save_quarantine_of(name, dataset.quarantine)
        note_predicted(run, name, data)
    return Predicted(predictions, dataset, features.forward_passes, file)


def predict_split(dataset: Dataset, split: str, features: Features, head: Head) -> Predictions:
    """Return the predictions for one split, with the ids of its images."""
    images = dataset.of(split)
    if images.empty:
        p = np.empty((0, len(dataset.class_names)))
    else:
        p = head.probabilities(features.of(images["sha256"].tolist())).numpy()
    index = {name: column for column, name in enumerate(dataset.class_names)}
    labels = images["label"].map(index).fillna(UNKNOWN).astype(np.int64).to_numpy()
    return make_predictions(
        images["id"].tolist(),
        images["path"].tolist(),
        labels,
        p,
        dataset.class_names,
    )


def _source(run: Run) -> DataSource:
    """Return how the run's own images were read."""
    config = run.config
    if config.options is None:
        return DataSource(Path(config.data or ""))
    return DataSource.chosen(config.options)
