"""Measures the steps that need a run's features: more images, more views, another backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from engine.analysis.learning_curve import learning_curve
from engine.analysis.near_duplicates import assign_folds, near_identical
from engine.analysis.next_steps import images_step, side_by_side_step, views_step
from engine.data.splits import components
from engine.errors import UserError
from engine.model.extractor import Extractor, open_model
from engine.model.head import HeadOptions
from engine.model.learning_curve import LabelledFeatures, losses_by_share
from engine.runs.backbone_facts import all_facts
from engine.runs.files import read_json
from engine.runs.fit_options import FitOptions
from engine.runs.next_steps import (
    BACKBONE,
    ELSEWHERE,
    VIEWS,
    NextStep,
    side_by_side_options,
)
from engine.runs.run import Run
from engine.text import duration

_COST = 1.3  # computation of a suggested backbone, relative to the run's
_FOLDS, _FEWEST = 5, 40  # and labelled images, below which parts of them are too few
_VIEWS_ELSEWHERE = (
    "On 400 photographs of five flowers, MobileNetV2, the log loss was 0.392 with one view, 0.374 "
    "with two and 0.364 with four"
)


@dataclass(frozen=True)
class FeatureSteps:
    """Steps that need a network or its features, and what could not be measured."""

    steps: tuple[NextStep, ...]
    notes: tuple[str, ...]


def feature_steps(run: Run, others: Sequence[Run]) -> FeatureSteps:
    """Return the steps of more images, more views, and another backbone alone or side by side.

    Only features that are in the cache are used; no image is passed through a network.

    Parameters
    ----------
    others : other runs of the same images, which are compared instead of fitted again

    Raises
    ------
    UserError
        If the run has no model.
    """
    extractor, _ = open_model(run)
    options = run.fit_options
    tried = {_network(other) for other in others}
    names = {name for network, _ in tried for name in network.split("+")}
    backbone = _better_backbone(run, {*options.backbone, *names})
    wider = [v for v in (2, 4) if v > options.views and (options.network, v) not in tried]
    suggested = (backbone,) if backbone else ()
    if options.train == "all":
        note = (
            "More images, more views: the whole network was trained, so only a fit can measure it."
        )
        return FeatureSteps(suggested, (note,))
    data = _labelled(run, extractor)
    if isinstance(data, str):
        return FeatureSteps((*suggested, *_unmeasured_views(run, wider)), (data,))
    head = HeadOptions.of(replace(options, epochs=None))
    config = run.config
    strength = (config.l2 or 0.0) * config.n.train * extractor.views
    found = losses_by_share(data, head, strength, seed=options.seed)
    scored = ~np.isnan(found.losses[0])
    curve = learning_curve(
        found.sizes, found.losses[:, scored],
        len(data.labels) if options.folds else config.n.train, data.groups[scored],
    )  # fmt: skip
    steps = [images_step(curve, ("fit", *options.arguments())), *suggested]
    own = _Own(head, strength, found.losses[-1])
    steps += _views(run, wider, extractor, data, own)
    steps += _side_by_side(run, others, extractor, data, own)
    return FeatureSteps(tuple(steps), ())


def _labelled(run: Run, extractor: Extractor) -> LabelledFeatures | str:
    """Return the cached features of the labelled images with folds, or why there are none."""
    images = run.images
    images = images[(images["split"] != "test") & images["label"].notna()].reset_index(drop=True)
    features = extractor.kept_features(images)
    if run.config.l2 is None:
        return "More images: the run's fit chose no penalty, so there is no learning curve."
    if not set(images["sha256"]) <= features.row_of.keys():
        return "More images: the features are no longer cached, so there is no learning curve."
    names, sha256 = run.class_names, images["sha256"].tolist()
    labels = np.searchsorted(names, images["label"].to_numpy(str))
    near = near_identical(features.of_first_view(sha256).numpy(), sha256)
    groups = np.unique(components(images, also=near), return_inverse=True)[1]
    if groups.max(initial=-1) + 1 < _FEWEST:
        return f"More images: fewer than {_FEWEST} different labelled images give no curve."
    fold = assign_folds(labels, groups, _FOLDS, run.fit_options.seed)
    return LabelledFeatures(features, sha256, labels, len(names), fold, groups)


@dataclass(frozen=True, eq=False)
class _Own:
    """How the run's heads are trained, and their losses with all training images, (n,)."""

    head: HeadOptions
    strength: float
    losses: np.ndarray


def _views(
    run: Run, wider: list[int], extractor: Extractor, data: LabelledFeatures, own: _Own
) -> list[NextStep]:
    """Return the step of more views: measured if their features are cached, the best of these."""
    found = []
    for views in wider:
        losses = _paired_losses(extractor.with_views(views), data, own)
        if losses:
            found.append(views_step(views, *losses, _fit(run.fit_options, views=views)))
    if not found:
        return _unmeasured_views(run, wider)
    return [max(found, key=lambda step: step.gain or 0.0)]


def _side_by_side(
    run: Run, others: Sequence[Run], extractor: Extractor, data: LabelledFeatures, own: _Own
) -> list[NextStep]:
    """Return the step of another run's backbone beside this run's, the best of those cached."""
    if extractor.beside:
        return []
    found: dict[str, NextStep] = {}
    for other in others:
        name, its = other.config.backbone, other.config.options
        frozen = its is not None and its.train == "head" and len(its.backbone) == 1
        if its is None or not frozen or name in {run.config.backbone, *found}:
            continue
        beside = open_model(other, extractor.device)[0].with_views(extractor.views)
        losses = _paired_losses(replace(extractor, beside=(beside,)), data, own)
        if losses:
            command = _fit(side_by_side_options(run.fit_options, its))
            found[name] = replace(side_by_side_step(name, *losses, command), run=other.name)
    return sorted(found.values(), key=lambda step: step.gain or 0.0)[-1:]


def _paired_losses(
    extractor: Extractor, data: LabelledFeatures, own: _Own
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the losses of the same images with the run's features and these, and their groups.

    None if these are not all in the cache.
    """
    features = extractor.kept_features(pd.DataFrame({"sha256": data.sha256}))
    if not set(data.sha256) <= features.row_of.keys():
        return None
    losses = losses_by_share(
        replace(data, features=features), own.head, own.strength, (1.0,)
    ).losses[0]
    both = ~np.isnan(own.losses) & ~np.isnan(losses)
    return own.losses[both], losses[both], data.groups[both]


def _network(run: Run) -> tuple[str, int]:
    options = run.config.options
    return run.config.backbone, options.views if options else 1


def _unmeasured_views(run: Run, wider: list[int]) -> list[NextStep]:
    """Return the step of more views with figures from elsewhere."""
    if not wider:
        return []
    options, n = run.fit_options, run.config.n
    passed = (n.train + n.valid + n.test) * (wider[0] - options.views)
    return [
        NextStep(
            VIEWS, f"Fit with {wider[0]} views of each image", None, None, ELSEWHERE,
            f"{_VIEWS_ELSEWHERE}; on these images only a fit can measure it.",
            _time(run, passed), _fit(options, views=wider[0]), value=str(wider[0]),
        )
    ]  # fmt: skip


def _better_backbone(run: Run, tried: set[str]) -> NextStep | None:
    """Return the best backbone by published accuracy that needs about as much computation."""
    known = all_facts()  # the most accurate first
    own = known.get(run.config.backbone)
    if own is None:
        return None
    affordable = (
        each for each in known.values()
        if each.name not in tried and each.accuracy > own.accuracy
        and each.gflop <= _COST * own.gflop
    )  # fmt: skip
    best = next(affordable, None)
    if best is None:
        return None
    n = run.config.n
    options = replace(run.fit_options, weights=("default",), image_size=None)
    # The run's speed at another size says nothing of this fit, which has the published size.
    cost = best.gflop / own.gflop if run.fit_options.image_size is None else None
    return NextStep(
        BACKBONE, f"Fit with the backbone {best.name}", None, None, ELSEWHERE,
        f"torchvision publishes an ImageNet accuracy of {100 * best.accuracy:.1f} % for it and "
        f"{100 * own.accuracy:.1f} % for {own.name}; on these images only a fit can measure it.",
        _time(run, n.train + n.valid + n.test, cost),
        _fit(options, backbone=best.name), value=best.name,
    )  # fmt: skip


def _fit(options: FitOptions, **changes: object) -> tuple[str, ...]:
    return ("fit", *replace(options, name=None, **changes).arguments())  # type: ignore[arg-type]


def _time(run: Run, images: int, cost: float | None = 1.0) -> str:
    """Return the time of a pass at the run's speed, of a network of this relative cost if known."""
    try:
        rate = read_json(run.folder / "environment.json").get("images_per_second")
    except UserError:
        rate = None
    passes = f"one pass over {images:,} images"
    if cost is None or not isinstance(rate, int | float) or not rate > 0:
        return passes
    return f"{passes}, about {duration(cost * images / rate)} here"
