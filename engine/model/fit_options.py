"""The choices of a fit: defaults, checks, and earlier runs that made the same ones."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.data.dataset import Dataset
from engine.errors import UserError
from engine.model.backbones import check_backbone
from engine.model.device import Device
from engine.model.preprocessing import Preprocessing
from engine.model.weights import Weights
from engine.runs.jobs import DEMO
from engine.runs.run import Run, list_runs

HEAD_EPOCHS, HEAD_STEPS, HEAD_LR = 30, 600, 3e-3  # at least so many epochs and steps
ALL_EPOCHS, ALL_LR, ALL_LR_FROM_NOTHING = 10, 1e-4, 3e-3


@dataclass(frozen=True)
class FitOptions:
    """The choices of a fit; None means the default that suits the others."""

    data: Path
    backbone: str = "vgg16"
    weights: str = "default"
    train: str = "head"
    epochs: int | None = None
    batch_size: int = 64
    lr: float | None = None
    image_size: int | None = None
    valid: int | None = None
    sample: bool = False
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    name: str | None = None
    folds: int | None = None
    verdicts: bool = False

    def checked(self) -> FitOptions:
        """Return the options with their defaults filled in.

        Raises
        ------
        UserError
            When a value is impossible; the option is named.
        """
        check_backbone(self.backbone)
        if self.train not in ("head", "all"):
            raise UserError(f"--train {self.train} is unknown; choose head or all.")
        lr = HEAD_LR
        if self.train == "all":
            lr = ALL_LR_FROM_NOTHING if self.weights == "none" else ALL_LR
        for option, value in (("--epochs", self.epochs), ("--lr", self.lr)):
            if value is not None and not 0 < value < 1e6:
                raise UserError(f"{option} {value} must be above 0.")
        if not 1 <= self.batch_size <= 65536:
            raise UserError(f"--batch-size {self.batch_size} must lie between 1 and 65,536.")
        if self.folds is not None and not 2 <= self.folds <= 20:
            raise UserError(f"--folds {self.folds} must lie between 2 and 20.")
        if self.folds and self.train == "all":
            raise UserError("--folds goes with --train head only; leave one of them out.")
        if not 0 <= self.seed < 2**31:
            raise UserError(f"--seed {self.seed} must lie between 0 and 2,147,483,647.")
        return replace(self, lr=self.lr or lr)

    def with_epochs(self, n_train: int) -> FitOptions:
        """Return the options with the default number of epochs for so many images."""
        if self.epochs:
            return self
        if self.train == "all":
            return replace(self, epochs=ALL_EPOCHS)
        steps = math.ceil(n_train / self.batch_size)
        return replace(self, epochs=max(HEAD_EPOCHS, math.ceil(HEAD_STEPS / steps)))


def demo_options(folder: Path) -> FitOptions:
    """Return the options that suit the demo's drawings: a small network, trained from nothing."""
    return FitOptions(folder, name="Demo", **DEMO)


def plan(
    options: FitOptions, dataset: Dataset, weights: Weights, steps: Preprocessing, device: Device
) -> dict[str, Any]:
    """Return every choice needed to repeat the run; ``key`` is the same for the same fit."""
    choices = {key: value for key, value in asdict(options).items() if key not in ("name", "data")}
    inputs = {
        "weights": {"source": weights.source, "sha256": weights.sha256},
        "preprocessing": asdict(steps),
        "device": device.name,
        "precision": device.precision,
        "fingerprint": dataset.fingerprint,
        "class_names": list(dataset.class_names),
    }
    return {
        **choices,
        **inputs,
        "key": _hash({**choices, **inputs}),
        "inputs_key": _hash({"backbone": options.backbone, "seed": options.seed, **inputs}),
        "name": options.name,
        "positive": None,
        "held_out": options.valid,  # the scores take the name "valid"
        "data": str(options.data.absolute()),
        "root": str(dataset.root),
    }


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def known_l2(run: Run) -> float | None:
    """Return the penalty that an earlier run chose from the same features, labels and seed."""
    inputs = run.config["inputs_key"]
    for other in list_runs():
        try:
            config = other.config
        except UserError:
            continue
        if config.get("inputs_key") == inputs and "l2" in config:
            return float(config["l2"])
    return None


def interrupted(key: str) -> Run | None:
    """Find a run of the same fit that did not finish and that no process is writing."""
    for run in list_runs():
        try:
            unfinished = run.status["state"] in ("lost", "cancelled", "failed")
            if unfinished and run.config.get("key") == key:
                return run
        except UserError:
            continue
    return None
