"""The last layers of a fit: one for the scores, the final one, and one for each fold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from engine.model.checkpoint import save_tensors
from engine.model.extractor import Extractor
from engine.model.fit_setup import FitFeatures, FitSetup
from engine.model.folds import CrossValidated, cross_validate
from engine.model.grouping import grouped
from engine.model.head import Head
from engine.model.joined_heads import JoinedHeads, best_joined
from engine.model.training import train_run_head
from engine.model.weights import read_tensors
from engine.runs.files import sha256_of


@dataclass(frozen=True)
class FitHeads:
    """The last layers of a fit.

    Attributes
    ----------
    head : for the scores, trained without the validation images
    final : the stored one, which predicts the test images
    sha256 : of the file that holds ``final``
    crossed : out-of-fold predictions, if the options ask for folds
    """

    head: Head
    final: Head
    sha256: str
    crossed: CrossValidated | None = None


def train_fit_heads(setup: FitSetup, made: FitFeatures) -> tuple[FitFeatures, FitHeads]:
    """Train the head, and one more for each fold; write the final one."""
    options, features = setup.options, made.features
    whole = grouped(made.dataset, made.features, options.seed, setup.report)
    made = replace(made, dataset=whole.dataset)
    head = train_run_head(setup, made, whole.component)
    crossed = None
    if options.folds:
        crossed = cross_validate(made.dataset, features, options, head.l2, whole.component)
    joined = JoinedHeads(head, crossed)
    if features.widths:
        joined = best_joined(setup, made, whole.component, joined)
    head, crossed = joined.head, joined.crossed
    final = crossed.head if crossed else head
    path = setup.run.folder / "head.safetensors"
    tensors = {"weight": final.weight, "bias": final.bias}
    if features.scales:
        tensors["scales"] = torch.tensor(features.scales, dtype=torch.float64)
    save_tensors(path, tensors)
    sha256 = sha256_of(path)
    setup.clock.lap("fit")
    return made, FitHeads(head, final, sha256, crossed)


def tuned_head(extractor: Extractor) -> FitHeads:
    """Read the head that was trained with the network."""
    assert extractor.body
    sha256 = extractor.weights.sha256
    tensors = read_tensors(extractor.body, sha256)
    head = Head(tensors["head.weight"], tensors["head.bias"])
    return FitHeads(head, head, sha256)
