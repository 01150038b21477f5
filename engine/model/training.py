"""The training step of a fit: a head on cached features, or the whole network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.dataset import Dataset
from engine.errors import UserError
from engine.model.backbones import load_extractor
from engine.model.finetune import finetune
from engine.model.fit_setup import FitFeatures, FitSetup
from engine.model.grouping import grouped
from engine.model.head import Head, HeadOptions, train_head
from engine.model.resume import known_l2
from engine.model.start import Start
from engine.model.training_images import Images, TrainingImages
from engine.model.training_options import training_options
from engine.runs.epoch_scores import EpochScores, OnEpoch


def train_run_head(setup: FitSetup, made: FitFeatures, component: Mapping[str, int]) -> Head:
    """Train the last layer on the features of the training images, and log one line per pass.

    Parameters
    ----------
    component : component number by path; folds do not divide a component
    """
    lines: list[EpochScores] = []

    def after(line: EpochScores) -> None:
        lines.append(line)
        setup.report.epoch(lines, setup.options.epochs or 0)

    setup.report("train", 0, 0)  # how many passes it takes is not known
    options, l2 = HeadOptions.of(setup.options), known_l2(setup.run)
    head = train_one_head(made, component, options, after, l2=l2)
    setup.run.write_epochs(lines)
    setup.run.update_config(l2=head.l2)
    return head


def train_one_head(
    made: FitFeatures,
    component: Mapping[str, int],
    options: HeadOptions,
    on_epoch: OnEpoch = lambda _: None,
    *,
    l2: float | None = None,
) -> Head:
    """Train a last layer on every view of the training images; see :func:`train_head`."""
    train, valid = made.dataset.of("train"), made.dataset.of("valid")
    rows = made.features.rows(train["sha256"].tolist())
    views = len(rows) // len(train)
    names = made.dataset.class_names
    groups = np.unique(train["path"].map(component), return_inverse=True)[1]
    return train_head(
        (rows, _labels(train, names).repeat(views)),
        (made.features.of(valid["sha256"].tolist()), _labels(valid, names)),
        len(names), options,
        l2=l2, groups=np.tile(groups, views), on_epoch=on_epoch,
    )  # fmt: skip


def train_network(setup: FitSetup) -> Dataset:
    """Train the whole network on the labelled images, and write it and one line per epoch.

    It starts from the last layer fitted on the features of the frozen network. Several processes
    divide the features and every batch.

    Returns
    -------
    The data set without the images that cannot be decoded.
    """
    options, ranks, report = setup.options, setup.ranks, setup.report
    frozen = setup.extractor
    dataset, start = _start(setup)
    parts = []
    for split in ("train", "valid"):
        rows = dataset.of(split)
        labels = _labels(rows, dataset.class_names)
        images = Images(dataset.root, rows["path"].tolist(), rows["sha256"].tolist(), labels)
        parts.append(TrainingImages(images, frozen.steps, frozen.device, ranks))
    extractor = load_extractor(frozen.backbone, frozen.weights, options.seed, frozen.steps.crop)
    training = training_options(options)
    for lines in finetune(
        extractor, start, parts[0], parts[1], training, folder=setup.run.folder, progress=report
    ):
        if ranks.first:
            setup.run.write_epochs(lines)
            report.epoch(lines, training.epochs)
    return dataset


def _start(setup: FitSetup) -> tuple[Dataset, Start]:
    """Fit the last layer on the features of the labelled images, and leave out the bad ones."""
    dataset = setup.dataset
    labelled = dataset.images[dataset.images["split"] != "test"]
    features = setup.extractor.features(dataset.root, labelled, setup.report, setup.ranks)
    dataset = check_usable(dataset.without(features.bad), setup.options.path)

    def fitted() -> tuple[Dataset, Start]:
        whole = grouped(dataset, features, setup.options.seed, setup.report)
        made = FitFeatures(whole.dataset, setup.extractor, features)
        lines: list[EpochScores] = []
        options = HeadOptions.of(replace(setup.options, epochs=None))
        head = train_one_head(made, whole.component, options, lines.append, l2=known_l2(setup.run))
        return whole.dataset, Start(head, lines[-1]["loss"], lines[-1]["accuracy"])

    return setup.ranks.on_rank_zero(fitted)


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
