"""A fit from top to bottom: images, split, features, head or whole network, predictions."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from engine import portable
from engine.analysis.metrics import accuracy, log_loss
from engine.data.dataset import Dataset, duplicates
from engine.model.backbones import check_backbone
from engine.model.checkpoint import CHECKPOINT
from engine.model.device import choose_device, make_deterministic
from engine.model.embed import save_pca
from engine.model.extractor import Extractor
from engine.model.fit_heads import FitHeads, train_fit_heads, tuned_head
from engine.model.fit_inputs import OnData, read_inputs, with_verdicts
from engine.model.fit_result import FitResult, image_counts, save_result
from engine.model.fit_setup import FitFeatures, FitSetup
from engine.model.label_edit_effect import label_edit_effect
from engine.model.pass_executor import with_faster_executor
from engine.model.pass_time import PassTime
from engine.model.precision import exact_extractor, precision_before_pass, precision_check
from engine.model.predict import predict_split
from engine.model.ranks import Ranks, joined
from engine.model.resume import interrupted, planned
from engine.model.training import check_usable, train_network
from engine.model.weights import Weights, wrapping
from engine.runs.epoch_scores import OnEpoch
from engine.runs.files import sha256_of
from engine.runs.fit_defaults import checked_options, with_epochs
from engine.runs.fit_options import FitOptions
from engine.runs.opening import remove_file
from engine.runs.precision_check import PrecisionCheck
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import Predictions
from engine.runs.progress import Clock, OnNotice, Progress, Reporter, run_lock
from engine.runs.run import Run
from engine.runs.run_config import RunConfig
from engine.runs.run_list import create_run
from engine.runs.run_results import Scores
from engine.runs.sealed_images import save_sealed


def fit(
    options: FitOptions,
    *,
    run: Run | None = None,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
    on_data: OnData | None = None,
    on_notice: OnNotice | None = None,
) -> FitResult:
    """Fine-tune a classifier on a data set and predict its valid and test images.

    If a fit of the same images with the same options was killed, it continues in the same run
    folder. Under torchrun, all processes compute features and train; only the first one writes the
    run, and all return its result.

    Parameters
    ----------
    run
        A queued run to fill; by default an interrupted one with the same options, or a new one.
    progress
        Called with (stage, done, total); stages are list, features, compare, train, predict.
    on_data
        Called with the data set and its source, before anything is computed.
    on_notice
        Called with a sentence on the pass: its time, if it will take more than a minute, and
        whether OpenVINO computes it.

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
        if run and portable.is_first():
            stack.enter_context(run_lock(run))
            listing = Reporter(run, progress)
        options = checked_options(options)
        for name in options.backbone:
            check_backbone(name)
        device = choose_device(options.device, options.precision)
        ranks = stack.enter_context(joined(device.name))
        make_deterministic()
        weights, found = read_inputs(options, ranks, listing, on_data)
        options = with_epochs(options, len(found.of("train")))
        dataset, edits = with_verdicts(options, found, ranks)
        clock.lap("list")
        frozen = Extractor.of(options, weights, device)
        device, checked = ranks.on_rank_zero(
            lambda: precision_before_pass(frozen, options, dataset, listing)
        )
        clock.lap("precision")
        frozen = frozen.on(device)
        config = planned(options, dataset, frozen)
        if edits:
            before = planned(options, found, frozen).inputs_key
            config = replace(config, without_verdicts=before, label_edits=edits)
        run = _opened(run, config, ranks, stack)
        report = Reporter(run, progress, on_epoch, not ranks.first, on_notice)
        return _fit(FitSetup(run, options, dataset, frozen, ranks, report, clock, checked))


def _opened(run: Run | None, config: RunConfig, ranks: Ranks, stack: ExitStack) -> Run:
    """Return the run to fill, with this config; it stays locked until the stack is closed."""
    if run is None:
        run = ranks.on_rank_zero(lambda: _interrupted_or_new(config, stack))
    if ranks.first:
        run.update_config(**config.given())
    return run


def _interrupted_or_new(config: RunConfig, stack: ExitStack) -> Run:
    def lock(run: Run) -> None:
        stack.enter_context(run_lock(run))

    run = interrupted(config.key)
    if run is None:
        return create_run(config, begin=lock)
    lock(run)
    remove_file(run.folder / "cancel")
    return run


def _fit(setup: FitSetup) -> FitResult:
    resumed = bool(setup.run.epochs)
    of_head = setup.options.train == "head"
    made = _frozen_features(setup) if of_head else _tuned_features(setup)
    return setup.ranks.on_rank_zero(lambda: finish_fit(setup, made, resumed))


def _frozen_features(setup: FitSetup) -> FitFeatures:
    """Pass the images that are not in the cache through the frozen network."""
    extractor, dataset = setup.extractor, setup.dataset
    if setup.ranks.world == 1:  # several processes might choose differently
        extractor = with_faster_executor(extractor, dataset.images, setup.report)
    if setup.ranks.first:
        setup.run.update_config(executors=extractor.executors)
    watch = PassTime.of(extractor, setup.options, setup.report)
    features = extractor.features(dataset.root, dataset.images, watch, setup.ranks)
    if setup.ranks.world == 1 and setup.options.image_size is None:
        watch.keep(extractor)
    setup.clock.lap("features")
    dataset = check_usable(dataset.without(features.bad), setup.options.path)
    extractor = replace(extractor, scales=features.scales)
    return FitFeatures(dataset, extractor, features, setup.checked)


def _tuned_features(setup: FitSetup) -> FitFeatures:
    """Train the whole network; pass the validation and test images through it."""
    dataset = train_network(setup)
    setup.clock.lap("fit")
    path = setup.run.folder / "model.safetensors"
    tuned = setup.ranks.on_rank_zero(lambda: Weights(str(path), sha256_of(path), path))
    extractor = replace(setup.extractor, weights=tuned, body=path)
    checked = None
    if setup.options.precision == "auto":
        extractor, checked = setup.ranks.on_rank_zero(
            lambda: _tuned_precision(setup, dataset, extractor)
        )
    scored = dataset.images[dataset.images["split"] != "train"]
    features = extractor.features(
        dataset.root,
        scored,
        lambda _, done, total: setup.report("predict", done, total),
        setup.ranks,
    )
    setup.clock.lap("features")
    return FitFeatures(dataset.without(features.bad), extractor, features, checked)


def _tuned_precision(
    setup: FitSetup, dataset: Dataset, extractor: Extractor
) -> tuple[Extractor, PrecisionCheck | None]:
    """Return the trained network in the precision for its pass, and what decided it."""
    head = tuned_head(extractor).head
    checked = precision_check(extractor, None, head, dataset, setup.report)
    if checked is None or checked.within_noise:
        return extractor, checked
    exact = exact_extractor(extractor)
    options = replace(setup.run.fit_options, precision=exact.device.precision)
    setup.run.update_config(options=options)
    return exact, checked


def finish_fit(setup: FitSetup, made: FitFeatures, resumed: bool) -> FitResult:
    """Train the head unless the whole network was trained, predict, and write the run's files."""
    run, clock, features, checked = setup.run, setup.clock, made.features, made.checked
    if made.extractor.body is None:
        made, heads = train_fit_heads(setup, made)
    else:
        heads = tuned_head(made.extractor)
    passes, passed_in = features.forward_passes, clock.seconds["features"]
    setup.report("predict", 0, 1)
    valid, test = _save_predictions(setup, made, heads)
    clock.lap("predict")
    compared = precision_check(made.extractor, features, heads.head, made.dataset, setup.report)
    compared = compared or checked
    clock.lap("precision")
    scores = _scores(valid)
    result = FitResult(
        run,
        image_counts(made.dataset),
        scores.accuracy,
        scores.log_loss,
        passes,
        seconds=clock.finished(),
        images_per_second=passes / passed_in if passes else 0.0,
        duplicates=duplicates(made.dataset.images),
        resumed=resumed,
        precision_check=compared,
        folds=heads.crossed.summary if heads.crossed else None,
        test=_scores(test) if test and test.labelled else None,
        warnings=made.dataset.warnings,
        weights_note=" ".join(
            filter(None, (wrapping(each.weights) for each in setup.extractor.every))
        ),
    )
    save_result(result, made.dataset, made.extractor.device, heads.sha256)
    if setup.options.verdicts:
        run.update_config(label_edit_effect=label_edit_effect(run))
    run.set_status("done", accuracy=result.accuracy, log_loss=result.log_loss)
    remove_file(run.folder / CHECKPOINT)
    return result


def _save_predictions(
    setup: FitSetup, made: FitFeatures, heads: FitHeads
) -> tuple[Predictions, Predictions | None]:
    """Write the tables, all predictions and the PCA map; return those of valid and test images."""
    run, dataset, features = setup.run, made.dataset, made.features
    run.save_tables(dataset.images, dataset.quarantine)
    save_sealed(run, dataset.sealed)
    valid, test = predict_split(dataset, "valid", features, heads.head), None
    save_predictions(run.predictions_path("valid"), valid)
    if heads.crossed:
        save_predictions(run.predictions_path("folds"), heads.crossed.predictions)
    if not dataset.of("test").empty:
        test = predict_split(dataset, "test", features, heads.final)
        save_predictions(run.predictions_path("test"), test)
    if made.extractor.body is None:  # of a tuned network the training images have no features yet
        save_pca(run, features, setup.options.seed)
    return valid, test


def _scores(predictions: Predictions) -> Scores:
    y, p = predictions.y_true, predictions.probabilities
    return Scores(accuracy(y, p), log_loss(y, p))
