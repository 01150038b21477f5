"""A fit from top to bottom: pictures, split, features, head or whole network, predictions."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from engine.analysis.metrics import accuracy, log_loss
from engine.data.dataset import Dataset, duplicates, load_dataset
from engine.errors import Refused
from engine.model.backbones import (
    Preprocessing,
    check_backbone,
    load_network,
    preprocessing,
    split_network,
)
from engine.model.device import Device, choose_device, make_deterministic
from engine.model.features import decoded
from engine.model.finetune import CHECKPOINT, Pictures, finetune, save_tensors
from engine.model.head import Head, train_head
from engine.model.predict import Extractor, predict_split, read_tensors
from engine.model.weights import Weights, find_weights
from engine.runs.files import sha256_of, write_json
from engine.runs.predictions import save_predictions
from engine.runs.run import Cancelled, Run, create_run, list_runs

HEAD_EPOCHS, HEAD_STEPS, HEAD_LR = 30, 600, 3e-3  # at least so many epochs and steps
ALL_EPOCHS, ALL_LR, ALL_LR_FROM_NOTHING = 10, 1e-4, 3e-3

Progress = Callable[[str, int, int], None]


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

    def checked(self) -> FitOptions:
        """Return the options with their defaults filled in.

        Raises
        ------
        Refused
            When a value is impossible; the option is named.
        """
        check_backbone(self.backbone)
        if self.train not in ("head", "all"):
            raise Refused(f"--train {self.train} is unknown; choose head or all.")
        lr = HEAD_LR
        if self.train == "all":
            lr = ALL_LR_FROM_NOTHING if self.weights == "none" else ALL_LR
        for option, value in (("--epochs", self.epochs), ("--lr", self.lr)):
            if value is not None and not 0 < value < 1e6:
                raise Refused(f"{option} {value} must be above 0.")
        if not 1 <= self.batch_size <= 65536:
            raise Refused(f"--batch-size {self.batch_size} must lie between 1 and 65,536.")
        if not 0 <= self.seed < 2**31:
            raise Refused(f"--seed {self.seed} must lie between 0 and 2,147,483,647.")
        return replace(self, lr=self.lr or lr)

    def with_epochs(self, n_train: int) -> FitOptions:
        """Return the options with the default number of epochs for so many pictures."""
        if self.epochs:
            return self
        if self.train == "all":
            return replace(self, epochs=ALL_EPOCHS)
        steps = math.ceil(n_train / self.batch_size)
        return replace(self, epochs=max(HEAD_EPOCHS, math.ceil(HEAD_STEPS / steps)))


def demo_options(folder: Path) -> FitOptions:
    """Return the options that suit the demo's drawings: a small network, trained from nothing."""
    return FitOptions(
        folder, backbone="resnet18", weights="none", train="all", image_size=64, epochs=12,
        name="demo",
    )  # fmt: skip


@dataclass(frozen=True)
class FitResult:
    """What a fit made: the run, its counts, scores and times (seconds by stage)."""

    run: Run
    n: dict[str, int]
    accuracy: float
    log_loss: float
    forward_passes: int
    seconds: dict[str, float]
    pictures_per_second: float
    duplicates: list[dict[str, object]]
    resumed: bool

    def summary(self) -> dict[str, Any]:
        """Return the result as the command line's JSON has it."""
        return {
            "run": self.run.name,
            "n": self.n,
            "valid": {"accuracy": self.accuracy, "log_loss": self.log_loss},
            "forward_passes": self.forward_passes,
            "seconds": {key: round(value, 3) for key, value in self.seconds.items()},
            "pictures_per_second": round(self.pictures_per_second, 1),
            "duplicates": self.duplicates,
            "resumed": self.resumed,
        }


def fit(
    options: FitOptions,
    *,
    run: Run | None = None,
    progress: Progress | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> FitResult:
    """Fine-tune a classifier on a data set and predict its valid and test pictures.

    Started again after a kill with the same choices on the same pictures, it goes on in the
    same run folder.

    Parameters
    ----------
    run
        A queued run to fill; by default an interrupted one with the same choices, or a new one.
    progress
        Called with (stage, done, total); stages are list, features, train, predict.

    Raises
    ------
    Refused
        When the options or the data cannot be used.
    Cancelled
        When a file named ``cancel`` appears in the run folder.
    """
    try:
        clock = _Clock()
        options = options.checked()
        if not options.data.exists():  # said before any weights are downloaded
            raise Refused(f"{options.data} does not exist; give a folder, a CSV or a zip.")
        device = choose_device(options.device, options.precision)
        make_deterministic()
        weights = find_weights(options.backbone, options.weights, options.seed)
        steps = preprocessing(options.backbone, options.image_size)
        dataset = load_dataset(
            options.data,
            valid=options.valid,
            sample=options.sample,
            seed=options.seed,
            progress=progress,
        )
        options = options.with_epochs(len(dataset.of("train")))
        clock.lap("list")
        plan = _plan(options, dataset, weights, steps, device)
        found = None if run else _interrupted(plan["key"])
        run = run or found or create_run(options.backbone, plan)
    except Refused as error:
        if run:
            run.set_status("failed", message=str(error))
        raise
    with run.held() as mine:
        if not mine:
            raise Refused(f"run {run.name} is being written by another process.")
        run.update_config(**plan)
        run.set_status("running")  # so that a run killed from here on is found again
        if found:
            (run.folder / "cancel").unlink(missing_ok=True)
        with _status_of(run):
            return _fit(run, options, dataset, weights, steps, device, clock, progress, on_epoch)


def _fit(
    run: Run,
    options: FitOptions,
    dataset: Dataset,
    weights: Weights,
    steps: Preprocessing,
    device: Device,
    clock: _Clock,
    progress: Progress | None,
    on_epoch: Callable[[dict[str, Any]], None] | None,
) -> FitResult:
    report = _Reporter(run, progress, on_epoch)
    resumed = bool(run.epochs)
    if options.train == "head":
        extractor = Extractor(options.backbone, weights, options.seed, steps, device)
        features = extractor.features(dataset.root, dataset.images, report)
        clock.lap("features")
        dataset = _still_usable(dataset.without(features.bad), options.data)
        head = _fit_head(run, options, dataset, features.of, report)
        head_sha256 = sha256_of(run.folder / "head.safetensors")
        passes, passed_in = features.forward_passes, clock.seconds["features"]
        clock.lap("fit")
    else:
        dataset = _fit_all(run, options, dataset, weights, steps, device, report)
        clock.lap("fit")
        path = run.folder / "model.safetensors"
        head_sha256 = sha256_of(path)
        tensors = read_tensors(path, head_sha256)
        head = Head(tensors["head.weight"], tensors["head.bias"])
        tuned = Weights(str(path), head_sha256, path)
        extractor = Extractor(options.backbone, tuned, options.seed, steps, device, body=path)
        scored = dataset.images[dataset.images["split"] != "train"]
        features = extractor.features(dataset.root, scored, report)
        clock.lap("features")
        dataset = dataset.without(features.bad)
        passes, passed_in = features.forward_passes, clock.seconds["features"]

    report("predict", 0, 1)
    run.save_tables(dataset.images, dataset.quarantine)
    valid = predict_split(dataset, "valid", features, head)
    save_predictions(run.predictions_path("valid"), valid)
    if not dataset.of("test").empty:
        test = predict_split(dataset, "test", features, head)
        save_predictions(run.predictions_path("test"), test)
    clock.lap("predict")

    splits = dataset.images["split"].value_counts()
    n = {split: int(splits.get(split, 0)) for split in ("train", "valid", "test")}
    n["quarantined"] = len(dataset.quarantine)
    result = FitResult(
        run, n, accuracy(valid.y_true, valid.probabilities),
        log_loss(valid.y_true, valid.probabilities), passes, clock.finished(),
        passes / passed_in if passes else 0.0, duplicates(dataset.images), resumed,
    )  # fmt: skip
    counts = dataset.of("train")["label"].value_counts()
    run.update_config(
        n=n,
        valid={"accuracy": result.accuracy, "log_loss": result.log_loss},
        train_counts={name: int(counts.get(name, 0)) for name in dataset.class_names},
        ignored=dataset.ignored,
        duplicates=result.duplicates,
        head_sha256=head_sha256,
    )
    _write_environment(run, device, result)
    run.set_status("done", accuracy=result.accuracy, log_loss=result.log_loss)
    (run.folder / CHECKPOINT).unlink(missing_ok=True)
    return result


def _fit_head(
    run: Run,
    options: FitOptions,
    dataset: Dataset,
    features_of: Callable[[list[str]], torch.Tensor],
    report: _Reporter,
) -> Head:
    assert options.epochs and options.lr
    pairs = []
    for split in ("train", "valid"):
        rows = dataset.of(split)
        pairs.append((features_of(rows["sha256"].tolist()), _labels(rows, dataset.class_names)))
    lines: list[dict[str, Any]] = []

    def after(line: dict[str, Any]) -> None:
        lines.append(line)
        report.epoch(lines, options.epochs or 0)

    head = train_head(
        pairs[0], pairs[1], len(dataset.class_names),
        epochs=options.epochs, lr=options.lr, batch_size=options.batch_size, seed=options.seed,
        l2=_known_l2(run), on_epoch=after,
    )  # fmt: skip
    run.write_epochs(lines)
    save_tensors(run.folder / "head.safetensors", {"weight": head.weight, "bias": head.bias})
    run.update_config(l2=head.l2)
    return head


def _fit_all(
    run: Run,
    options: FitOptions,
    dataset: Dataset,
    weights: Weights,
    steps: Preprocessing,
    device: Device,
    report: _Reporter,
) -> Dataset:
    assert options.epochs and options.lr
    labelled = dataset.images[dataset.images["split"] != "test"]
    wanted = dict(zip(labelled["sha256"], labelled["path"], strict=True))
    bad: dict[str, str] = {}
    for done, (name, picture) in enumerate(decoded(dataset.root, wanted, steps, 64), 1):
        report("decode", done, len(wanted))
        if isinstance(picture, str):
            bad |= dict.fromkeys(labelled.loc[labelled["sha256"] == name, "path"], picture)
    dataset = _still_usable(dataset.without(bad), options.data)
    parts = []
    for split in ("train", "valid"):
        rows = dataset.of(split)
        labels = _labels(rows, dataset.class_names)
        parts.append(Pictures(dataset.root, rows["path"].tolist(), rows["sha256"].tolist(), labels))
    network = load_network(options.backbone, weights, options.seed, steps.crop)
    extractor, width = split_network(network)

    def after(lines: list[dict[str, Any]]) -> None:
        run.write_epochs(lines)
        report.epoch(lines, options.epochs or 0)

    finetune(
        extractor, width, len(dataset.class_names), parts[0], parts[1],
        steps=steps, device=device, epochs=options.epochs, lr=options.lr,
        batch_size=options.batch_size, seed=options.seed, folder=run.folder,
        progress=report, on_epoch=after,
    )  # fmt: skip
    return dataset


class _Reporter:
    """Passes progress on to the caller and, twice a second, to status.json; stops on request."""

    def __init__(
        self,
        run: Run,
        progress: Progress | None,
        on_epoch: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self.run, self.progress, self.on_epoch = run, progress, on_epoch
        self.stage, self.since, self.first, self.written = "", 0.0, 0, 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.since, self.first, self.written = stage, now, done, 0.0
        if self.progress:
            self.progress(stage, done, total)
        if now - self.written > 0.5 or done == total:
            rate = (done - self.first) / (now - self.since) if now > self.since else 0.0
            self.run.set_status(
                "running", stage=stage, done=done, total=total, pictures_per_second=rate
            )
            self.written = now
            if self.run.cancel_requested:
                raise Cancelled(f"run {self.run.name} was cancelled.")

    def epoch(self, lines: list[dict[str, Any]], epochs: int) -> None:
        if self.on_epoch:
            self.on_epoch({**lines[-1], "epochs": epochs})


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.started = self.last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now

    def finished(self) -> dict[str, float]:
        return {"total": time.monotonic() - self.started, **self.seconds}


@contextmanager
def _status_of(run: Run) -> Iterator[None]:
    """Leave a word about how it ended, whatever happens."""
    try:
        yield
    except (Cancelled, KeyboardInterrupt):
        run.set_status("cancelled", message="Stopped on request; start it again to go on.")
        raise
    except Exception as error:
        run.set_status("failed", message=str(error) or type(error).__name__)
        raise


def _plan(
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
        "data": str(options.data.absolute()),
        "root": str(dataset.root),
    }


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _known_l2(run: Run) -> float | None:
    """Return the penalty that an earlier run chose from the same features, labels and seed."""
    inputs = run.config["inputs_key"]
    for other in list_runs():
        try:
            config = other.config
        except Refused:
            continue
        if config.get("inputs_key") == inputs and "l2" in config:
            return float(config["l2"])
    return None


def _interrupted(key: str) -> Run | None:
    """Find a run of the same fit that did not finish and that no process is writing."""
    for run in list_runs():
        try:
            unfinished = run.status["state"] in ("lost", "cancelled", "failed")
            if unfinished and run.config.get("key") == key:
                return run
        except Refused:
            continue
    return None


def _still_usable(dataset: Dataset, data: Path) -> Dataset:
    for split in ("train", "valid"):
        rows = dataset.of(split)
        if rows.empty or (split == "train" and rows["label"].nunique() < 2):
            raise Refused(f"{data}: too few {split} pictures can be decoded to fit anything.")
    return dataset


def _labels(rows: Any, class_names: tuple[str, ...]) -> torch.Tensor:
    return torch.from_numpy(np.searchsorted(class_names, rows["label"].to_numpy(str)))


def _write_environment(run: Run, device: Device, result: FitResult) -> None:
    write_json(
        run.folder / "environment.json",
        {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "platform": platform.platform(),
            "device": device.description,
            "precision": device.precision,
            "threads": torch.get_num_threads(),
            "seconds": result.seconds,
            "forward_passes": result.forward_passes,
            "pictures_per_second": result.pictures_per_second,
        },
    )
