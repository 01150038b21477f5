"""The training step of a fit: a head on cached features, or the whole network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.dataset import Dataset
from engine.errors import UserError
from engine.model.backbones import load_network, split_network
from engine.model.batches import decoded
from engine.model.device import Device
from engine.model.finetune import Images, finetune
from engine.model.head import Head, train_head
from engine.model.preprocessing import Preprocessing
from engine.model.ranks import Ranks
from engine.model.resume import known_l2
from engine.model.training_options import training_options
from engine.model.weights import Weights
from engine.runs.fit_options import FitOptions
from engine.runs.progress import Reporter
from engine.runs.run import Run


def learn_head(
    run: Run,
    options: FitOptions,
    dataset: Dataset,
    features_of: Callable[[list[str]], torch.Tensor],
    report: Reporter,
) -> Head:
    """Train the last layer on the features of the training images, and log one line per epoch."""
    pairs = []
    for split in ("train", "valid"):
        rows = dataset.of(split)
        pairs.append((features_of(rows["sha256"].tolist()), _labels(rows, dataset.class_names)))
    lines: list[dict[str, Any]] = []

    def after(line: dict[str, Any]) -> None:
        lines.append(line)
        report.epoch(lines, options.epochs or 0)

    head = train_head(
        pairs[0], pairs[1], len(dataset.class_names), training_options(options),
        l2=known_l2(run), on_epoch=after,
    )  # fmt: skip
    run.write_epochs(lines)
    run.update_config(l2=head.l2)
    return head


def learn_all(
    run: Run,
    options: FitOptions,
    dataset: Dataset,
    weights: Weights,
    steps: Preprocessing,
    device: Device,
    report: Reporter,
    ranks: Ranks,
) -> Dataset:
    """Check that every labelled image can be decoded, then train the whole network on them.

    Several processes divide the checks and every batch.

    Returns
    -------
    The data set without the images that cannot be decoded.
    """
    assert options.epochs and options.lr
    labelled = dataset.images[dataset.images["split"] != "test"]
    wanted = dict(zip(labelled["sha256"], labelled["path"], strict=True))
    mine = dict(list(wanted.items())[ranks.share])
    bad: dict[str, str] = {}
    for done, (name, image) in enumerate(decoded(dataset.root, mine, steps, 64), 1):
        report("decode", min(done * ranks.world, len(wanted)), len(wanted))
        if isinstance(image, str):
            bad |= dict.fromkeys(labelled.loc[labelled["sha256"] == name, "path"], image)
    for others in ranks.gather(bad):
        bad |= others
    dataset = still_usable(dataset.without(bad), options.path)
    parts = []
    for split in ("train", "valid"):
        rows = dataset.of(split)
        labels = _labels(rows, dataset.class_names)
        parts.append(Images(dataset.root, rows["path"].tolist(), rows["sha256"].tolist(), labels))
    network = load_network(options.backbone, weights, options.seed, steps.crop)
    extractor, width = split_network(network)

    def after(lines: list[dict[str, Any]]) -> None:
        if ranks.first:
            run.write_epochs(lines)
            report.epoch(lines, options.epochs or 0)

    finetune(
        extractor, width, len(dataset.class_names), parts[0], parts[1],
        steps=steps, device=device, epochs=options.epochs, lr=options.lr,
        batch_size=options.batch_size, seed=options.seed, folder=run.folder,
        progress=report, on_epoch=after, ranks=ranks,
    )  # fmt: skip
    return dataset


def still_usable(dataset: Dataset, data: Path) -> Dataset:
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
