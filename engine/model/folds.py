"""Out-of-fold predictions: each image is predicted by a head that was not trained on it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from engine.analysis.metrics import accuracy, log_loss
from engine.analysis.near_duplicates import assign_folds
from engine.data.dataset import Dataset
from engine.errors import UserError
from engine.model.features import Features
from engine.model.head import Head, HeadOptions, train_heads
from engine.runs.fit_options import FitOptions
from engine.runs.predictions import Predictions, make_predictions
from engine.runs.run_results import FoldsSummary


@dataclass(frozen=True)
class CrossValidated:
    """The result of cross-validation.

    Attributes
    ----------
    predictions : out-of-fold predictions for all labelled images
    head : trained on all labelled images
    summary : the scores of the predictions, and how the folds were made
    """

    predictions: Predictions
    head: Head
    summary: FoldsSummary


def cross_validate(
    dataset: Dataset,
    features: Features,
    options: FitOptions,
    l2: float,
    component: Mapping[str, int],
) -> CrossValidated:
    """Predict every labelled image by a head trained without it and its near-duplicates.

    Folds given in the data are used if their number is ``options.folds``.

    Parameters
    ----------
    component : component number by path; images of one component share a fold

    Raises
    ------
    UserError
        If there are fewer distinct images than folds.
    """
    assert options.folds
    started = time.monotonic()
    images = dataset.images[dataset.images["split"] != "test"].sort_values("id")
    sha256, names = images["sha256"].tolist(), dataset.class_names
    y = np.searchsorted(names, images["label"].to_numpy(str))
    labels = torch.from_numpy(y)
    groups = np.unique(images["path"].map(component), return_inverse=True)[1]
    sizes = np.bincount(groups)
    if len(sizes) < options.folds:
        raise UserError(
            f"needs at least {options.folds} distinct labelled images; {options.data} has "
            f"{len(sizes)}.",
            option="folds",
            value=options.folds,
        )
    given = images["fold"].nunique() == options.folds and images["fold"].notna().all()
    fold = (
        np.unique(images["fold"].to_numpy(str), return_inverse=True)[1]
        if given
        else assign_folds(y, groups, options.folds, options.seed)
    )
    everything = torch.ones(1, len(y))
    used = torch.cat([_training_weights(fold), everything])
    rows, views = features.rows(sha256), max(len(features.views), 1)
    *heads, final = train_heads(
        rows, labels.repeat(views), len(names), used.repeat(1, views), HeadOptions.of(options), l2,
        n=len(dataset.of("train")) * views,
    )  # fmt: skip
    p = _held_out(heads, features.of(sha256), fold)
    summary = FoldsSummary(
        k=options.folds,
        n=len(y),
        accuracy=accuracy(y, p),
        log_loss=log_loss(y, p),
        groups=int(np.count_nonzero(sizes > 1)),
        seconds=round(time.monotonic() - started, 3),
    )
    made = make_predictions(images["id"].tolist(), images["path"].tolist(), y, p, names)
    return CrossValidated(made, final, summary)


def out_of_fold(
    features: torch.Tensor,
    labels: torch.Tensor,
    n_classes: int,
    fold: np.ndarray,
    options: HeadOptions,
    l2: float,
    n: int,
) -> np.ndarray:
    """Return the probabilities of every image from the head trained without its fold.

    All heads are solved side by side; the images of a head's own fold have weight 0. The
    features are centred by the mean of all images, which uses no labels. The penalty is given, so
    no label of a fold influences its head.

    Parameters
    ----------
    features : float32 tensor of shape (n, width)
    labels : int64 tensor of shape (n,)
    fold : int array of shape (n,), from 0 to the number of folds less 1
    l2, n : as in :func:`train_heads`

    Returns
    -------
    float64 array of shape (n, n_classes), rows sum to 1

    Raises
    ------
    ValueError
        If there are fewer than two folds or one is empty.
    """
    used = _training_weights(fold)
    heads = train_heads(features, labels, n_classes, used, options, l2, n)
    return _held_out(heads, features, fold)


def _training_weights(fold: np.ndarray) -> torch.Tensor:
    """Return 1 for each image in the head of each fold, 0 in its own fold: (k, n)."""
    sizes = np.bincount(fold)
    if len(sizes) < 2 or not sizes.all():
        raise ValueError(f"two or more folds, none empty, are needed, not of sizes {sizes}")
    return torch.from_numpy((fold[None, :] != np.arange(len(sizes))[:, None]).astype(np.float32))


def _held_out(heads: list[Head], features: torch.Tensor, fold: np.ndarray) -> np.ndarray:
    """Return each image's probabilities from its own fold's head, float64 (n, n_classes)."""
    p = np.empty((len(fold), len(heads[0].bias)))
    for index, head in enumerate(heads):
        p[fold == index] = head.probabilities(features[fold == index]).numpy()
    return p
