"""Measures heads trained on parts of the images: the points of a learning curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.analysis.metrics import per_sample_log_loss
from engine.model.features import Features
from engine.model.head import HeadOptions, train_heads

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
_WORK = 2e10  # multiplications in a pass over the rows of all heads, from which folds are left out


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """Features of labelled images, and which of them are scored together.

    Attributes
    ----------
    features : of every view
    sha256 : of the n images
    labels : int64 array of shape (n,)
    n_classes : number of classes
    fold : int array of shape (n,), from 0 to the number of folds less 1
    groups : int array of shape (n,), equal where images belong together
    """

    features: Features
    sha256: list[str]
    labels: np.ndarray
    n_classes: int
    fold: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True, eq=False)
class PartLosses:
    """Losses of heads trained on parts of the images.

    Attributes
    ----------
    sizes : training images of each part, on average over the folds
    losses : float64 array of shape (n_parts, n), NaN where the image's fold was left out
    """

    sizes: tuple[int, ...]
    losses: np.ndarray


def losses_by_share(
    data: LabelledFeatures,
    options: HeadOptions,
    strength: float,
    shares: tuple[float, ...] = SHARES,
    seed: int = 0,
) -> PartLosses:
    """Return each image's loss by heads trained on shares of the other folds' images.

    A smaller part lies in each larger one and has the same shares of the classes. All heads are
    solved side by side. If that takes long, only some of the folds are scored.

    Parameters
    ----------
    strength : of the penalty, added to the sum of the losses; it fits any number of rows
    shares : of the training images, ascending
    """
    rows = data.features.rows(data.sha256)
    labels = torch.from_numpy(data.labels)
    views = len(rows) // len(labels)
    columns = 1 if data.n_classes == 2 else data.n_classes
    k = int(data.fold.max()) + 1
    k = max(1, min(k, int(_WORK / (rows.numel() * columns * len(shares)))))
    used = np.zeros((k, len(shares), len(labels)), dtype=np.float32)
    for fold in range(k):
        order = _in_order(data.labels, data.fold != fold, np.random.default_rng([seed, fold]))
        for index, share in enumerate(shares):
            used[fold, index, order[: max(1, round(share * len(order)))]] = 1
    each = torch.from_numpy(used.reshape(-1, len(labels)))
    heads = train_heads(
        rows, labels.repeat(views), data.n_classes, each.repeat(1, views), options, strength, 1
    )
    losses = np.full((len(shares), len(labels)), np.nan)
    for fold in range(k):
        held = data.fold == fold
        values = data.features.of([s for s, own in zip(data.sha256, held, strict=True) if own])
        for index in range(len(shares)):
            p = heads[fold * len(shares) + index].probabilities(values).numpy()
            losses[index, held] = per_sample_log_loss(data.labels[held], p)
    return PartLosses(tuple(int(n) for n in used.sum(axis=2).mean(axis=0).round()), losses)


def _in_order(labels: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the known rows at random, so that each beginning has the classes' shares."""
    rows = rng.permutation(np.flatnonzero(known))
    place = np.empty(len(rows))
    for label in np.unique(labels[rows]):
        own = np.flatnonzero(labels[rows] == label)
        place[own] = (np.arange(len(own)) + rng.random()) / len(own)
    return rows[np.argsort(place, kind="stable")]
