"""What a fit's precision changes: the same images and head once more, in float32."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from engine.analysis.metrics import log_loss
from engine.data.dataset import Dataset
from engine.model.features import Features
from engine.model.head import Head
from engine.model.predict import Extractor, predict_split

IMAGES = 256


@dataclass(frozen=True)
class PrecisionCheck:
    """How far predictions lie from float32's.

    Attributes
    ----------
    images : valid images that were compared
    largest_probability_change : over images and classes
    log_loss_change : log loss minus that of float32, natural logarithm
    seconds : what the comparison took
    """

    images: int
    largest_probability_change: float
    log_loss_change: float
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return it as the files and the command line have it."""
        return asdict(self)


def precision_check(
    extractor: Extractor,
    features: Features,
    head: Head,
    dataset: Dataset,
    progress: Callable[[str, int, int], None] | None = None,
) -> PrecisionCheck | None:
    """Compare predictions of at most 256 valid images with those of a float32 network.

    Which ones is decided by their checksums: as good as drawn, and the same in every fit of the
    same split, whose features are then found in the cache.

    Returns
    -------
    PrecisionCheck, or None when the fit's precision is float32 itself, or no image is left.
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
