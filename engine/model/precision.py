"""Measures the effect of the fit's precision by repeating some predictions in float32."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from engine.analysis.metrics import log_loss
from engine.data.dataset import Dataset
from engine.model.extractor import Extractor
from engine.model.features import Features
from engine.model.head import Head
from engine.model.predict import predict_split
from engine.runs.run_config import PrecisionCheck

IMAGES = 256


def precision_check(
    extractor: Extractor,
    features: Features,
    head: Head,
    dataset: Dataset,
    progress: Callable[[str, int, int], None] | None = None,
) -> PrecisionCheck | None:
    """Compare the predictions for at most 256 validation images with those of a float32 network.

    The images are chosen by their checksums, which is like a random choice but the same for every
    fit of the same split, so that later fits find the features in the cache.

    Returns
    -------
    PrecisionCheck, or None if the fit used float32 itself or no image remains.
    """
    if extractor.device.dtype == torch.float32:
        return None
    started = time.monotonic()
    chosen = dataset.of("valid").sort_values(["sha256", "id"]).head(IMAGES)
    exact = replace(extractor, device=replace(extractor.device, dtype=torch.float32))
    found = exact.features(
        dataset.root, chosen, progress and (lambda _, done, total: progress("predict", done, total))
    )
    there = replace(dataset, images=chosen).without(found.bad)
    if there.images.empty:
        return None
    ours, theirs = (predict_split(there, "valid", each, head) for each in (features, found))
    return PrecisionCheck(
        len(ours),
        float(abs(ours.probabilities - theirs.probabilities).max()),
        log_loss(ours.y_true, ours.probabilities) - log_loss(theirs.y_true, theirs.probabilities),
        time.monotonic() - started,
    )
