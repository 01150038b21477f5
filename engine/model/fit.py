"""A fit from top to bottom: images, split, features, head or whole network, predictions."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import torch

from engine.analysis.metrics import accuracy, log_loss
from engine.data.dataset import Dataset, duplicates, load_dataset
from engine.data.label_edits import apply_label_edits
from engine.data.layouts import DataSource, find_images
from engine.model.backbones import check_backbone
from engine.model.checkpoint import CHECKPOINT, save_tensors
from engine.model.device import Device, choose_device, make_deterministic
from engine.model.embed import save_pca
from engine.model.features import Features
from engine.model.folds import cross_validate
from engine.model.grouping import grouped
from engine.model.head import Head
from engine.model.label_edit_effect import label_edit_effect
from engine.model.precision import precision_check
from engine.model.predict import Extractor, predict_split, read_tensors
from engine.model.preprocessing import Preprocessing, preprocessing
from engine.model.ranks import Ranks, joined
from engine.model.resume import interrupted, planned
from engine.model.training import learn_all, learn_head, still_usable
from engine.model.weights import Weights, find_weights
from engine.runs.files import sha256_of, write_json
from engine.runs.fit_options import FitOptions
from engine.runs.predictions import Predictions, save_predictions
from engine.runs.progress import Clock, OnEpoch, Progress, Reporter, is_first, taken
from engine.runs.run import Run, create_run
from engine.runs.run_config import FoldsSummary, ImageCounts, PrecisionCheck, Scores


@dataclass(frozen=True)
class FitResult:
    """The result of a fit: the run, its counts, scores and times (seconds by stage)."""

    run: Run
    n: dict[str, int]
    accuracy: float
    log_loss: float
    forward_passes: int
    seconds: dict[str, float]
    images_per_second: float
    duplicates: list[dict[str, object]]
    resumed: bool
    precision_check: PrecisionCheck | None = None
    folds: FoldsSummary | None = None
    test: Scores | None = None  # where all test images are labelled
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return the result as plain values for the command line's JSON."""
        config = self.run.config
        edits, effect = config.label_edits, config.label_edit_effect
        return {
            "run": self.run.name,
            "n": self.n,
            "valid": {"accuracy": self.accuracy, "log_loss": self.log_loss},
            "forward_passes": self.forward_passes,
            "seconds": {key: round(value, 3) for key, value in self.seconds.items()},
            "images_per_second": round(self.images_per_second, 1),
            "duplicates": self.duplicates,
            "notes": config.notes,
            "resumed": self.resumed,
            "warnings": list(self.warnings),
            **({"test": asdict(self.test)} if self.test else {}),
            "precision_check": asdict(self.precision_check) if self.precision_check else None,
            **({"folds": asdict(self.folds)} if self.folds else {}),
            **(
                {"corrections": asdict(edits), "change": effect and asdict(effect)} if edits else {}
            ),
        }


def fit(
    options: FitOptions,
    *,
    run: Run | None = None,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
    on_data: Callable[[Dataset], None] | None = None,
) -> FitResult:
    """Fine-tune a classifier on a data set and predict its valid and test images.

    If a fit of the same images with the same options was killed, it continues in the same run
    folder. Under torchrun, all processes compute features and train; only the first one writes the
    run, and all return its result.

    Parameters
    ----------
    run
        A queued run to fill; by default an interrupted one with the same choices, or a new one.
    progress
        Called with (stage, done, total); stages are list, features, train, predict.
    on_data
        Called with what was found, before anything is computed.

    Raises
    ------
    UserError
        If the options or the data cannot be used.
    Cancelled
        If a file named ``cancel`` appears in the run folder.
    """
    clock = Clock()
    with ExitStack() as stack:
        listing = progress
        if run and is_first():
            stack.enter_context(taken(run))
            listing = Reporter(run, progress)
        options = options.checked()
        check_backbone(options.backbone)
        device = choose_device(options.device, options.precision)
        ranks = stack.enter_context(joined(device.name))
        make_deterministic()
        source = DataSource.chosen(options)
        listed = ranks.once(lambda: find_images(source))  # refuses before a download does
        weights = ranks.once(lambda: find_weights(options.backbone, options.weights, options.seed))
        steps = preprocessing(options.backbone, options.image_size)
        dataset = ranks.once(
            lambda: load_dataset(
                source,
                valid=options.valid,
                sample=options.sample,
                seed=options.seed,
                listing=listed,
                progress=listing,
            )
        )
        if on_data and ranks.first:
            on_data(dataset)
        options = options.with_epochs(len(dataset.of("train")))
        given = dataset
        if options.verdicts:
            dataset, edits = ranks.once(lambda: apply_label_edits(given))
        config = planned(options, dataset, weights, steps, device)
        if options.verdicts:
            before = planned(options, given, weights, steps, device).inputs_key
            config = replace(config, without_verdicts=before, label_edits=edits)
        clock.lap("list")
        if not run:
            run = ranks.once(lambda: interrupted(config.key) or create_run(config))
            if ranks.first:
                stack.enter_context(taken(run))
                (run.folder / "cancel").unlink(missing_ok=True)
        if ranks.first:
            run.update_config(**config.given())
        report = Reporter(run, progress, on_epoch, silent=not ranks.first)
        return _fit(run, options, dataset, weights, steps, device, clock, report, ranks)


def _fit(
    run: Run,
    options: FitOptions,
    dataset: Dataset,
    weights: Weights,
    steps: Preprocessing,
    device: Device,
    clock: Clock,
    report: Reporter,
    ranks: Ranks,
) -> FitResult:
    resumed = bool(run.epochs)
    if options.train == "head":
        extractor = Extractor(options.backbone, weights, options.seed, steps, device)
        features = extractor.features(dataset.root, dataset.images, report, ranks)
        clock.lap("features")
        dataset = still_usable(dataset.without(features.bad), options.path)
    else:
        dataset = learn_all(run, options, dataset, weights, steps, device, report, ranks)
        clock.lap("fit")
        path = run.folder / "model.safetensors"
        tuned = ranks.once(lambda: Weights(str(path), sha256_of(path), path))
        extractor = Extractor(options.backbone, tuned, options.seed, steps, device, body=path)
        scored = dataset.images[dataset.images["split"] != "train"]
        features = extractor.features(dataset.root, scored, report, ranks)
        clock.lap("features")
        dataset = dataset.without(features.bad)
    return ranks.once(
        lambda: _finish_fit(run, options, dataset, extractor, features, clock, report, resumed)
    )


def _finish_fit(
    run: Run,
    options: FitOptions,
    dataset: Dataset,
    extractor: Extractor,
    features: Features,
    clock: Clock,
    report: Reporter,
    resumed: bool,
) -> FitResult:
    """Train the head unless the whole network was trained, predict, and write the run's files."""
    crossed = None
    if extractor.body is None:
        whole = grouped(dataset, features, options.seed)
        dataset = whole.dataset
        head = final = learn_head(run, options, dataset, features.of, report)
        if options.folds:
            crossed = cross_validate(dataset, features.of, options, head.l2, whole.component)
            final = crossed.head
        path = run.folder / "head.safetensors"
        save_tensors(path, {"weight": final.weight, "bias": final.bias})
        head_sha256 = sha256_of(path)
        clock.lap("fit")
    else:
        head_sha256 = extractor.weights.sha256
        tensors = read_tensors(extractor.body, head_sha256)
        head = final = Head(tensors["head.weight"], tensors["head.bias"])
    passes, passed_in = features.forward_passes, clock.seconds["features"]
    report("predict", 0, 1)
    run.save_tables(dataset.images, dataset.quarantine)
    valid = predict_split(dataset, "valid", features, head)
    save_predictions(run.predictions_path("valid"), valid)
    if crossed:
        save_predictions(run.predictions_path("folds"), crossed.predictions)
    scored = None
    if not dataset.of("test").empty:
        test = predict_split(dataset, "test", features, final)
        save_predictions(run.predictions_path("test"), test)
        scored = _scores(test) if test.labelled else None
    if extractor.body is None:  # of a tuned network the training images have no features yet
        save_pca(run, features, options.seed)
    clock.lap("predict")
    compared = precision_check(extractor, features, head, dataset, report)
    clock.lap("precision")

    splits = dataset.images["split"].value_counts()
    n = {split: int(splits.get(split, 0)) for split in ("train", "valid", "test")}
    n["quarantined"] = len(dataset.quarantine)
    scores = _scores(valid)
    result = FitResult(
        run, n, scores.accuracy, scores.log_loss, passes, clock.finished(),
        passes / passed_in if passes else 0.0, duplicates(dataset.images), resumed,
        compared, crossed.summary if crossed else None, scored, dataset.warnings,
    )  # fmt: skip
    counts = dataset.of("train")["label"].value_counts()
    run.update_config(
        n=ImageCounts(**n),
        scores=scores,
        train_counts={name: int(counts.get(name, 0)) for name in dataset.class_names},
        ignored=dataset.ignored,
        origin=dataset.origin.summary(),
        test_scores=scored,
        notes=dataset.notes,
        duplicates=result.duplicates,
        head_sha256=head_sha256,
        precision_check=compared,
        out_of_fold=result.folds,
    )
    if options.verdicts:
        run.update_config(label_edit_effect=label_edit_effect(run))
    _write_environment(run, extractor.device, result)
    run.set_status("done", accuracy=result.accuracy, log_loss=result.log_loss)
    (run.folder / CHECKPOINT).unlink(missing_ok=True)
    return result


def _scores(predictions: Predictions) -> Scores:
    y, p = predictions.y_true, predictions.probabilities
    return Scores(accuracy(y, p), log_loss(y, p))


def _write_environment(run: Run, device: Device, result: FitResult) -> None:
    check = result.precision_check
    write_json(
        run.folder / "environment.json",
        {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": version("torchvision"),
            "platform": platform.platform(),
            "device": device.description,
            "precision": device.precision,
            "threads": torch.get_num_threads(),
            "seconds": result.seconds,
            "forward_passes": result.forward_passes,
            "images_per_second": result.images_per_second,
            "precision_check": check and asdict(check),
        },
    )
