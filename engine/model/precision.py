"""Compares a faster precision with float32 on some images, before a pass and after a fit."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.paired import paired_difference
from engine.data.dataset import Dataset
from engine.model.device import Device
from engine.model.extractor import Extractor
from engine.model.features import Features
from engine.model.head import Head, HeadOptions, train_head
from engine.model.predict import predict_split
from engine.runs.fit_options import FitOptions
from engine.runs.precision_check import PrecisionCheck
from engine.runs.predictions import Predictions
from engine.runs.progress import Progress

IMAGES = 256  # at most, to train a head on and to compare
_SHARE = 16  # one of 16 images at most, for each of the two sets
_FEWEST = 32  # fewer images cost less in float32 than the comparison does


def precision_before_pass(
    extractor: Extractor, options: FitOptions, dataset: Dataset, progress: Progress | None = None
) -> tuple[Device, PrecisionCheck | None]:
    """Return the device with the precision for the pass of a frozen network.

    Only where the option is auto and the network is frozen: another one is compared when it is
    trained. A head is trained on the float32 features of at most 256 training images, and scores
    the features of as many validation images in both precisions. The faster precision is kept if
    the log loss changes within noise; few images are computed in float32 without a comparison.
    """
    device, auto = extractor.device, options.precision == "auto" and options.train == "head"
    if not auto or device.dtype == torch.float32:
        return device, None
    exact = exact_extractor(extractor)
    k = min(IMAGES, dataset.images["sha256"].nunique() // _SHARE)
    if k < _FEWEST:
        return exact.device, None
    started = time.monotonic()
    chosen = pd.concat([_chosen(dataset, "train", k), _chosen(dataset, "valid", k)])
    slow = exact.features(dataset.root, chosen, progress)
    fast = replace(extractor, scales=slow.scales).features(dataset.root, chosen, progress)
    there = replace(dataset, images=chosen).without({**fast.bad, **slow.bad})
    train, valid = there.of("train"), there.of("valid")
    if train["label"].nunique() < 2 or valid.empty:
        return exact.device, None
    head = _probe(train, valid, slow, dataset.class_names, options)
    found = _compared(there, fast, slow, head, device, started)
    return (device if found.within_noise else exact.device), found


def precision_check(
    extractor: Extractor,
    features: Features | None,
    head: Head,
    dataset: Dataset,
    progress: Progress | None = None,
) -> PrecisionCheck | None:
    """Compare the predictions for at most 256 validation images with those of a float32 network.

    The images are chosen by their checksums, which is like a random choice but the same for every
    fit of the same split, so that later fits find the features in the cache.

    Parameters
    ----------
    features
        Those of all validation images; None passes the compared ones.

    Returns
    -------
    PrecisionCheck, or None if the network computes in float32 or no image remains.
    """
    if extractor.device.dtype == torch.float32:
        return None
    started = time.monotonic()
    chosen = _chosen(dataset, "valid", IMAGES)

    def report(_: str, done: int, total: int) -> None:
        if progress:
            progress("predict", done, total)

    ours = features or extractor.features(dataset.root, chosen, report)
    theirs = exact_extractor(extractor).features(dataset.root, chosen, report)
    there = replace(dataset, images=chosen).without({**ours.bad, **theirs.bad})
    if there.images.empty:
        return None
    return _compared(there, ours, theirs, head, extractor.device, started)


def exact_extractor(extractor: Extractor) -> Extractor:
    """Return the same network in float32, computed by PyTorch."""
    return extractor.by_torch().on(replace(extractor.device, dtype=torch.float32))


def _chosen(dataset: Dataset, split: str, most: int) -> pd.DataFrame:
    return dataset.of(split).sort_values(["sha256", "id"]).head(most)


def _probe(
    train: pd.DataFrame,
    valid: pd.DataFrame,
    features: Features,
    class_names: tuple[str, ...],
    options: FitOptions,
) -> Head:
    """Train a head on a few images."""
    index = {name: column for column, name in enumerate(class_names)}

    def examples(rows: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.tensor([index[name] for name in rows["label"]])
        return features.of(rows["sha256"].tolist()).float(), labels

    return train_head(
        examples(train), examples(valid), len(class_names), HeadOptions(options.seed),
        on_epoch=lambda _: None,
    )  # fmt: skip


def _compared(
    there: Dataset, ours: Features, theirs: Features, head: Head, device: Device, started: float
) -> PrecisionCheck:
    fast, exact = (predict_split(there, "valid", each, head) for each in (ours, theirs))
    losses, expected = _losses(fast), _losses(exact)
    change, low, high = paired_difference(losses, expected)
    return PrecisionCheck(
        len(fast),
        float(abs(fast.probabilities - exact.probabilities).max()),
        change,
        time.monotonic() - started,
        precision=device.precision,
        log_loss=float(losses.mean()),
        log_loss_float32=float(expected.mean()),
        interval=(low, high),
    )


def _losses(predictions: Predictions) -> np.ndarray:
    return per_sample_log_loss(predictions.y_true, predictions.probabilities)
