"""The training step of a fit: a head on cached features, or the whole network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.dataset import Dataset
from engine.errors import UserError
from engine.model.backbones import load_network, split_network
from engine.model.batches import decoded
from engine.model.finetune import finetune, with_new_head
from engine.model.fit_setup import FitFeatures, FitSetup
from engine.model.head import Head, HeadOptions, train_head
from engine.model.resume import known_l2
from engine.model.training_images import Images, TrainingImages
from engine.model.training_options import training_options


def train_run_head(setup: FitSetup, made: FitFeatures, component: Mapping[str, int]) -> Head:
    """Train the last layer on the features of the training images, and log one line per pass.

    Parameters
    ----------
    component : path to the number of the set that an image must stay with
    """
    run, dataset = setup.run, made.dataset
    pairs = []
    for split in ("train", "valid"):
        rows = dataset.of(split)
        features = made.features.of(rows["sha256"].tolist())
        pairs.append((features, _labels(rows, dataset.class_names)))
    groups = np.unique(dataset.of("train")["path"].map(component), return_inverse=True)[1]
    lines: list[dict[str, Any]] = []
    options = HeadOptions.of(setup.options)

    def after(line: dict[str, Any]) -> None:
        lines.append(line)
        setup.report.epoch(lines, setup.options.epochs or 0)

    head = train_head(
        pairs[0], pairs[1], len(dataset.class_names), options,
        l2=known_l2(run), groups=groups, on_epoch=after,
    )  # fmt: skip
    run.write_epochs(lines)
    run.update_config(l2=head.l2)
    return head


def train_network(setup: FitSetup) -> Dataset:
    """Train the whole network on the labelled images, and write it and one line per epoch.

    Several processes divide the checks and every batch.

    Returns
    -------
    The data set without the images that cannot be decoded.
    """
    options, ranks, report = setup.options, setup.ranks, setup.report
    dataset = _decodable(setup)
    parts = []
    for split in ("train", "valid"):
        rows = dataset.of(split)
        labels = _labels(rows, dataset.class_names)
        images = Images(dataset.root, rows["path"].tolist(), rows["sha256"].tolist(), labels)
        parts.append(TrainingImages(images, setup.steps, setup.device, ranks))
    network = load_network(options.backbone, setup.weights, options.seed, setup.steps.crop)
    network = with_new_head(*split_network(network), len(dataset.class_names), options.seed)
    training = training_options(options)
    for lines in finetune(
        network, parts[0], parts[1], training, folder=setup.run.folder, progress=report
    ):
        if ranks.first:
            setup.run.write_epochs(lines)
            report.epoch(lines, training.epochs)
    return dataset


def _decodable(setup: FitSetup) -> Dataset:
    """Return the data set without the labelled images that cannot be decoded."""
    dataset, ranks = setup.dataset, setup.ranks
    labelled = dataset.images[dataset.images["split"] != "test"]
    wanted = dict(zip(labelled["sha256"], labelled["path"], strict=True))
    mine = dict(list(wanted.items())[ranks.share])
    bad: dict[str, str] = {}
    for done, (name, image) in enumerate(decoded(dataset.root, mine, setup.steps, 64), 1):
        setup.report("decode", min(done * ranks.world, len(wanted)), len(wanted))
        if isinstance(image, str):
            bad |= dict.fromkeys(labelled.loc[labelled["sha256"] == name, "path"], image)
    for others in ranks.gather(bad):
        bad |= others
    return check_usable(dataset.without(bad), setup.options.path)


def check_usable(dataset: Dataset, data: Path) -> Dataset:
    """Return the data set if it can still be fitted.

    Raises
    ------
    UserError
        If no validation image or fewer than two classes of training images remain.
    """
    for split in ("train", "valid"):
        rows = dataset.of(split)
        if rows.empty or (split == "train" and rows["label"].nunique() < 2):
            raise UserError(f"{data}: too few {split} images can be decoded for a fit.")
    return dataset


def _labels(rows: Any, class_names: tuple[str, ...]) -> torch.Tensor:
    return torch.from_numpy(np.searchsorted(class_names, rows["label"].to_numpy(str)))
