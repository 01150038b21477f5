"""The config of a fit, which identifies equal fits, and the search for earlier equal runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from engine.data.dataset import Dataset
from engine.errors import UserError
from engine.model.extractor import Extractor
from engine.runs.caches import DECODING_RULES
from engine.runs.fit_options import FitOptions
from engine.runs.run import Run
from engine.runs.run_config import NetworkUsed, RunConfig, WeightsSource
from engine.runs.run_list import list_runs

HEAD_RULES = 2  # how a head is trained and its penalty chosen; other rules give other heads


def planned(options: FitOptions, dataset: Dataset, extractor: Extractor) -> RunConfig:
    """Return the config that repeats the fit; equal fits have the same ``key``."""
    device = extractor.device
    first, *beside = (
        NetworkUsed(
            each.backbone,
            WeightsSource(each.weights.source, each.weights.sha256),
            each.steps.described(),
        )
        for each in extractor.every
    )
    inputs = {
        "weights": asdict(first.weights),
        "preprocessing": first.preprocessing,
        "device": device.name,
        "precision": device.precision,
        "decoding_rules": DECODING_RULES,
        "head_rules": HEAD_RULES,
        "class_weight": options.class_weight,
        "fingerprint": dataset.fingerprint,
        "class_names": list(dataset.class_names),
    }
    if beside:
        inputs["beside"] = [asdict(each) for each in beside]
    views = {"views": options.views} if options.views > 1 else {}
    return RunConfig(
        options.network,
        name=options.name,
        data=str(options.path.absolute()),
        root=str(dataset.root),
        class_names=dataset.class_names,
        options=replace(options, device=device.name, precision=device.precision),
        weights=first.weights,
        preprocessing=first.preprocessing,
        beside=tuple(beside),
        fingerprint=dataset.fingerprint,
        key=_hash({**options.key_values(), **inputs}),
        inputs_key=_hash({"backbone": options.network, "seed": options.seed, **views, **inputs}),
    )


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def known_l2(run: Run) -> float | None:
    """Return the penalty that an earlier run chose from the same features, labels and seed."""
    inputs = run.config.inputs_key
    for other in list_runs():
        try:
            config = other.config
        except UserError:
            continue
        if config.inputs_key == inputs and config.l2 is not None:
            return config.l2
    return None


def interrupted(key: str | None) -> Run | None:
    """Return an unfinished run of the same fit that no process is writing, else None."""
    for run in list_runs():
        try:
            unfinished = run.status.state in ("lost", "cancelled", "failed")
            if unfinished and run.config.key == key:
                return run
        except UserError:
            continue
    return None
