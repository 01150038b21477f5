"""Heads on several networks: one on all features side by side, or a blend of a head for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine.analysis.blending import cross_pooled
from engine.analysis.metrics import accuracy, log_loss
from engine.analysis.pools import Pool, log_odds_pool
from engine.model.fit_setup import FitFeatures, FitSetup
from engine.model.folds import CrossValidated, cross_validate
from engine.model.head import Head, HeadOptions
from engine.model.training import train_one_head
from engine.runs.predictions import Predictions
from engine.runs.run_results import BackbonesCompared

SIDE_BY_SIDE, BLEND = "side by side", "blend"
_FOLDS = 5  # of the training images, where the fit has none


@dataclass(frozen=True)
class JoinedHeads:
    """A head to score with, trained without the validation images, and its cross-validation."""

    head: Head
    crossed: CrossValidated | None


def best_joined(
    setup: FitSetup, made: FitFeatures, component: Mapping[str, int], beside: JoinedHeads
) -> JoinedHeads:
    """Return the best way to join several networks, and record the log loss of each.

    The ways are one head on all features, the log odds of one head for each network with weights,
    and each network alone. They are compared on out-of-fold predictions: of all labelled images
    where the fit has folds, else of the training images, so that the validation images stay
    unseen. Each way is one linear layer on all features, so the run has one head.

    Parameters
    ----------
    component : component number by path; images of one component share a fold
    beside : the head on all features
    """
    columns, names = made.features.columns, _names(setup)
    blocks = [replace(made, features=made.features.block(each)) for each in columns]
    options = HeadOptions.of(setup.options)
    alone = [train_one_head(each, component, options) for each in blocks]
    if not setup.options.folds and _sets(made, component) < 2:
        return beside
    crossed = [
        _crossed(setup, each, component, head.l2) for each, head in zip(blocks, alone, strict=True)
    ]
    all_at_once = beside.crossed or _crossed(setup, made, component, beside.head.l2)
    tables = [each.predictions for each in crossed]
    pooled = replace(tables[0], probabilities=cross_pooled(tables, setup.options.seed))
    ways = {
        SIDE_BY_SIDE: all_at_once.predictions,
        BLEND: pooled,
        **dict(zip(names, tables, strict=True)),
    }
    losses = {name: _loss(table) for name, table in ways.items()}
    kept = min(losses, key=lambda name: losses[name])
    everywhere = log_odds_pool(tables)
    compared = BackbonesCompared(
        kept,
        losses,
        dict(zip(names, _factors(everywhere), strict=True)),
        len(tables[0]),
    )
    setup.run.update_config(compared=compared)
    if kept == SIDE_BY_SIDE:
        return beside
    if kept == BLEND:
        factors = _factors(everywhere)
        scoring = _factors(log_odds_pool(_of_training(tables, made)))
    else:
        factors = scoring = [float(name == kept) for name in names]
    head = _summed(alone, scoring, beside.head.l2)
    if not setup.options.folds:
        return JoinedHeads(head, None)
    final = _summed([each.head for each in crossed], factors, beside.head.l2)
    return JoinedHeads(head, _with(all_at_once, ways[kept], final))


def _crossed(
    setup: FitSetup, made: FitFeatures, component: Mapping[str, int], l2: float
) -> CrossValidated:
    """Return out-of-fold predictions, of the training images where the fit has no folds."""
    options, dataset = setup.options, made.dataset
    if not options.folds:
        dataset = replace(dataset, images=dataset.of("train"))
        options = replace(options, folds=min(_FOLDS, _sets(made, component)))
    return cross_validate(dataset, made.features, options, l2, component)


def _sets(made: FitFeatures, component: Mapping[str, int]) -> int:
    return int(made.dataset.of("train")["path"].map(component).nunique())


def _names(setup: FitSetup) -> list[str]:
    """Return the names of the networks; those of one backbone are numbered."""
    names = [each.backbone for each in setup.extractor.every]
    return [
        name if names.count(name) == 1 else f"{name} ({1 + names[:index].count(name)})"
        for index, name in enumerate(names)
    ]


def _factors(pool: Pool) -> list[float]:
    return [weight / pool.temperature for weight in pool.weights.tolist()]


def _of_training(tables: Sequence[Predictions], made: FitFeatures) -> list[Predictions]:
    """Return the rows of the training images."""
    train = np.isin(tables[0].paths.to_pylist(), made.dataset.of("train")["path"].tolist())
    return [table.take(np.flatnonzero(train)) for table in tables]


def _summed(heads: Sequence[Head], factors: Sequence[float], l2: float) -> Head:
    """Return the head on all features with the weighted sum of all heads' log odds."""
    weight = torch.cat([f * head.weight for head, f in zip(heads, factors, strict=True)], dim=1)
    bias = sum(f * head.bias for head, f in zip(heads, factors, strict=True))
    assert isinstance(bias, torch.Tensor)
    return Head(weight, bias, l2)


def _with(crossed: CrossValidated, predictions: Predictions, head: Head) -> CrossValidated:
    y, p = predictions.y_true, predictions.probabilities
    summary = replace(crossed.summary, accuracy=accuracy(y, p), log_loss=log_loss(y, p))
    return CrossValidated(predictions, head, summary)


def _loss(table: Predictions) -> float:
    return log_loss(table.y_true, table.probabilities)
