"""A fit from top to bottom: pictures, split, features, head or whole network, predictions."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from engine.analysis.metrics import accuracy, log_loss
from engine.data.dataset import Dataset, duplicates, load_dataset
from engine.errors import Refused
from engine.model.backbones import Preprocessing, load_network, preprocessing, split_network
from engine.model.device import Device, choose_device, make_deterministic
from engine.model.features import decoded
from engine.model.finetune import CHECKPOINT, Pictures, finetune, save_tensors
from engine.model.head import Head, train_head
from engine.model.plan import FitOptions, interrupted, known_l2, plan
from engine.model.predict import Extractor, predict_split, read_tensors
from engine.model.weights import Weights, find_weights
from engine.runs.files import sha256_of, write_json
from engine.runs.predictions import save_predictions
from engine.runs.reporting import Clock, OnEpoch, Progress, Reporter, taken
from engine.runs.run import Run, create_run


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
            "notes": self.run.config.get("notes", {}),
            "resumed": self.resumed,
        }


def fit(
    options: FitOptions,
    *,
    run: Run | None = None,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
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
    clock = Clock()
    with ExitStack() as stack:
        listing = progress
        if run:
            stack.enter_context(taken(run))
            listing = Reporter(run, progress)
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
            progress=listing,
        )
        options = options.with_epochs(len(dataset.of("train")))
        choices = plan(options, dataset, weights, steps, device)
        clock.lap("list")
        if not run:
            run = interrupted(choices["key"]) or create_run(options.backbone, choices)
            stack.enter_context(taken(run))
            (run.folder / "cancel").unlink(missing_ok=True)
        run.update_config(**choices)
        report = Reporter(run, progress, on_epoch)
        return _fit(run, options, dataset, weights, steps, device, clock, report)


def _fit(
    run: Run,
    options: FitOptions,
    dataset: Dataset,
    weights: Weights,
    steps: Preprocessing,
    device: Device,
    clock: Clock,
    report: Reporter,
) -> FitResult:
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
        notes=dataset.notes,
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
    report: Reporter,
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
        l2=known_l2(run), on_epoch=after,
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
    report: Reporter,
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
