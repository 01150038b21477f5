"""Predicts images with a run's model, using cached features where possible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from engine.analysis.metrics import accuracy, log_loss
from engine.data.dataset import Dataset, Progress, load_images
from engine.data.layouts import DataSource
from engine.errors import UserError
from engine.model.backbones import (
    check_backbone,
    feature_key,
    for_inference,
    load_network,
    load_state,
    split_network,
)
from engine.model.device import Device, choose_device
from engine.model.features import Features, compute_features, kept_features
from engine.model.head import Head
from engine.model.preprocessing import Preprocessing
from engine.model.ranks import ALONE, Ranks
from engine.model.weights import Weights, checked_finite, find_weights
from engine.runs.caches import decoded_cache
from engine.runs.files import sha256_of
from engine.runs.predictions import UNKNOWN, Predictions, make_predictions, save_predictions
from engine.runs.run import Run
from engine.runs.typed_json import from_json


@dataclass(frozen=True)
class Extractor:
    """A frozen network without its last layer, and the properties that identify its features.

    Attributes
    ----------
    backbone, weights, seed : the arguments that build the network
    steps : its preprocessing
    device : its device and precision
    body : fine-tuned tensors that replace the backbone's if the whole network was trained
    """

    backbone: str
    weights: Weights
    seed: int
    steps: Preprocessing
    device: Device
    body: Path | None = None

    def features(
        self,
        root: Path,
        images: pd.DataFrame,
        progress: Progress | None = None,
        ranks: Ranks = ALONE,
    ) -> Features:
        """Return the features of the images in an images table."""
        return compute_features(
            root,
            images["path"].tolist(),
            images["sha256"].tolist(),
            folder=self._folder,
            extractor=self._build,
            steps=self.steps,
            device=self.device,
            progress=progress,
            ranks=ranks,
        )

    def kept_features(self, images: pd.DataFrame) -> Features:
        """Return the cached features of those images that have some."""
        return kept_features(self._folder, images["sha256"])

    @property
    def _folder(self) -> Path:
        key = feature_key(self.backbone, self.weights, self.steps, self.device.precision)
        return decoded_cache("features") / key

    def network(self) -> nn.Module:
        """Build the network without its last layer, unmodified and in float32."""
        if self.body is None:
            network, _ = split_network(self._whole(self.weights))
        else:
            network, _ = split_network(self._whole(Weights("none", "", None)))
            tensors = read_tensors(self.body, self.weights.sha256)
            load_state(
                network, {name[5:]: t for name, t in tensors.items() if name.startswith("body.")}
            )
        return network.eval()

    def _build(self) -> nn.Module:
        return for_inference(self.network(), self.device.dtype, self.device.name)

    def _whole(self, weights: Weights) -> nn.Module:
        return load_network(self.backbone, weights, self.seed, self.steps.crop)


def open_model(run: Run, device: Device | None = None) -> tuple[Extractor, Head]:
    """Open the model of a run: its extractor and its head.

    Raises
    ------
    UserError
        If a file is missing, damaged, or differs from the one used by the run.
    """
    try:
        extractor, head = _opened(run, device)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{run.folder / 'config.json'} is damaged ({error!r}).") from error
    if len(head.bias) != len(run.class_names):
        raise UserError(
            f"run {run.name} is damaged: its head has {len(head.bias)} classes, its config.json "
            f"{len(run.class_names)}."
        )
    return extractor, head


def _opened(run: Run, device: Device | None) -> tuple[Extractor, Head]:
    config = run.config
    if config.head_sha256 is None:
        what = "a blend" if config.blend else "imported, or its fit did not finish"
        raise UserError(f"run {run.name} has no model: it is {what}.")
    check_backbone(config.backbone)
    options, initial, described = run.fit_options, config.weights, config.preprocessing
    if initial is None or described is None:
        raise UserError(f"run {run.name} is damaged: its weights or preprocessing are not named.")
    device = device or choose_device(precision=options.precision)
    steps = from_json(Preprocessing, described, f"run {run.name} is damaged: preprocessing.")
    if options.train == "all":
        path = run.folder / "model.safetensors"
        tensors = read_tensors(path, config.head_sha256)
        weights = Weights(str(path), config.head_sha256, path)
        extractor = Extractor(config.backbone, weights, options.seed, steps, device, body=path)
        return extractor, Head(tensors["head.weight"], tensors["head.bias"])
    weights = find_weights(config.backbone, initial.source, options.seed)
    if weights.sha256 != initial.sha256:
        raise UserError(
            f"run {run.name} was made with weights that differ from {weights.source} "
            f"(sha256 {initial.sha256[:12]}…); restore that file."
        )
    tensors = read_tensors(run.folder / "head.safetensors", config.head_sha256)
    extractor = Extractor(config.backbone, weights, options.seed, steps, device)
    return extractor, Head(tensors["weight"], tensors["bias"])


def read_tensors(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    """Read a safetensors file after checking its checksum.

    Raises
    ------
    UserError
        If it is missing or its content has changed.
    """
    if sha256_of(path) != sha256:
        raise UserError(f"{path} is damaged: its checksum differs from the one in config.json.")
    try:
        return checked_finite(load_file(path), path)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}).") from error


@dataclass(frozen=True)
class Predicted:
    """The result of ``predict``: the table, the quarantined images and the forward passes."""

    predictions: Predictions
    dataset: Dataset
    forward_passes: int
    file: Path

    @property
    def quarantine(self) -> pd.DataFrame:
        """Return the images that cannot be read: path, reason, id, split, label."""
        return self.dataset.quarantine

    def to_pandas(self) -> pd.DataFrame:
        """Return one row an image: id, path, label (None where unknown), predicted, p_<class>."""
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

    The table is saved as ``predictions/<name of the folder>.parquet`` in the run, or replaces
    ``test.parquet`` for the run's test images.

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
    own = has_test and (data is None or data.absolute() == Path(config.data or "").absolute())
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
    name = "test" if own else _table_name(data)
    file = run.predictions_path(name)
    save_predictions(file, predictions)
    if not own:
        run.save_quarantine_of(name, dataset.quarantine)
        run.update_config(predicted={**run.config.predicted, name: str(data.absolute())})
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


def _table_name(data: Path) -> str:
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in data.absolute().stem)[:60]
    return f"data-{name}" if name in ("valid", "test", "") else name
