"""Scoring images against timm and fastai; the report against ClassificationInterpretation."""

from __future__ import annotations

import statistics
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.analysis.report import report
from engine.model.features import FrozenNetwork, ImageFiles, compute_features
from engine.model.head import Head
from engine.runs.prediction_files import load_predictions, save_predictions
from engine.runs.predictions import Predictions, make_predictions
from tests.benchmarks.clocked import seconds_of, take_turns
from tests.benchmarks.material import REPEATS, Split, labelled_split, weights_file
from tests.benchmarks.passes import Ready, checksums, ready
from tests.benchmarks.report import load, machine, table

TITLE = "Scoring and report against timm and fastai"
CLASSES = ("cat", "dog")
MANY = 25_000


def measure() -> str:
    """Measure everything and return the section."""
    there = [package for package in ("timm", "fastai") if find_spec(package)]
    absent = [f"{p} is not installed." for p in ("timm", "fastai") if p not in there]
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        split = labelled_split(folder / "images")
        told = [machine(("torch", "torchvision", *there)), *absent, split.said + _HOW]
        told.append(_scoring(split, folder, there))
        if "fastai" in there:
            told.append(_reports(split, folder))
    return "\n\n".join(told)


def _scoring(split: Split, folder: Path, there: list[str]) -> str:
    n, model, sha256 = len(split.files), ready("mobilenet_v2"), checksums(split.files)
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: seconds_of(lambda: _score(model, split, sha256))
    }
    if "timm" in there:
        for batch_size in (64, 256):
            sides[f"timm, batch {batch_size}"] = _timm(split.folder, n, batch_size)
    if "fastai" in there:
        sides["fastai get_preds"] = _fastai(split, folder)
    taken = {side: statistics.median(t) for side, t in take_turns(sides, REPEATS).items()}
    rows = [
        [side, f"{n / seconds:.0f}", f"{seconds / taken['ours']:.1f}", load()]
        for side, seconds in taken.items()
    ]
    return table(("mobilenet_v2", "images /s", "our time is 1 /", "load"), rows)


def _score(model: Ready, split: Split, sha256: list[str]) -> None:
    """Score as `predict` does: decode, network, features to an empty cache, head."""
    with tempfile.TemporaryDirectory() as cold:
        paths = [str(f.relative_to(split.folder)) for f in split.files]
        network = FrozenNetwork(Path(cold), lambda: model.network, model.steps, model.device)
        features = compute_features(ImageFiles(split.folder, paths, sha256), network)
    head = Head(torch.zeros(len(CLASSES), features.values.shape[1]), torch.zeros(len(CLASSES)))
    assert len(head.probabilities(features.of(sha256))) == len(split.files)


def _timm(folder: Path, n: int, batch_size: int) -> Callable[[], float]:
    """Return timm's usual inference: its own network, data set, loader and transform, float32."""
    import timm
    from timm.data import create_dataset, create_loader, resolve_data_config

    network = timm.create_model("mobilenetv2_100", pretrained=False, num_classes=1000).eval()
    config = resolve_data_config({}, model=network)
    data = create_dataset("", root=str(folder), search_split=False)
    loader = create_loader(
        data, batch_size=batch_size, num_workers=2, device=torch.device("cpu"), **config
    )

    @torch.inference_mode()
    def infer() -> None:
        seen = 0
        for images, _ in loader:
            seen += len(network(images).softmax(-1))
        assert seen == n

    return lambda: seconds_of(infer)


def _fastai(split: Split, folder: Path) -> Callable[[], float]:
    learner = _learner(split, folder)
    files = learner.dls.test_dl(split.files, bs=64, num_workers=2)

    def infer() -> None:
        with learner.no_bar():
            assert len(learner.get_preds(dl=files)[0]) == len(split.files)

    return lambda: seconds_of(infer)


def _learner(split: Split, folder: Path) -> Any:
    from tests.benchmarks.fastai_loop import frozen_learner

    weights, _ = weights_file("mobilenet_v2", folder)
    return frozen_learner(str(split.folder), "mobilenet_v2", str(weights))


def _reports(split: Split, folder: Path) -> str:
    learner = _learner(split, folder)
    few = len(learner.dls.valid_ds)
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(0, 2, (MANY, len(CLASSES)))).float()
    labels = torch.from_numpy(rng.integers(0, len(CLASSES), MANY))
    interpret = _interpreted(_learner_of_scores(scores, labels))
    sides = {
        f"ours, {few:,} images": _reported(folder / "few.parquet", scores[:few], labels[:few]),
        f"fastai, {few:,} images": _interpreted(learner),
        f"ours, {MANY:,} predictions": _reported(folder / "many.parquet", scores, labels),
        f"fastai, {MANY:,} predictions, no network": interpret,
    }
    taken = [statistics.median(t) for t in take_turns(sides, REPEATS).values()]
    rows = [
        [side, f"{1000 * seconds:,.0f}", f"{seconds / taken[at - at % 2]:.1f}", load()]
        for at, (side, seconds) in enumerate(zip(sides, taken, strict=True))
    ]
    return table(("report", "milliseconds", "our time is 1 /", "load"), rows) + "\n\n" + _REPORTS


def _reported(path: Path, scores: torch.Tensor, labels: torch.Tensor) -> Callable[[], float]:
    save_predictions(path, _predictions(scores, labels))
    return lambda: seconds_of(lambda: report(load_predictions(path)))


def _predictions(scores: torch.Tensor, labels: torch.Tensor) -> Predictions:
    ids = [f"{row:06}" for row in range(len(labels))]
    p = torch.softmax(scores.double(), 1).numpy()
    return make_predictions(ids, [f"{id}.jpg" for id in ids], labels.numpy(), p, CLASSES)


def _interpreted(learner: Any) -> Callable[[], float]:
    """Return what a user of fastai asks for: build it, top losses, confusion matrix."""
    from fastai.interpret import ClassificationInterpretation

    def interpret() -> None:
        with learner.no_bar():
            found = ClassificationInterpretation.from_learner(learner, dl=learner.dls.valid)
            found.top_losses(9)
            assert found.confusion_matrix().sum() == len(learner.dls.valid_ds)

    return lambda: seconds_of(interpret)


def _learner_of_scores(scores: torch.Tensor, labels: torch.Tensor) -> Any:
    """Return a Learner whose network hands on scores that are there, so that it costs nothing."""
    from fastai.data.core import DataLoaders, TfmdDL
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat

    pairs = list(zip(scores, labels, strict=True))
    loader = TfmdDL(pairs, bs=1024, num_workers=0, device=torch.device("cpu"))
    loader.vocab = list(CLASSES)
    return Learner(DataLoaders(loader, loader), _Handed(), loss_func=CrossEntropyLossFlat())


class _Handed(torch.nn.Module):
    """Hands its input on; a Learner asks its first parameter for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(0))

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores


_HOW = """. Scoring: files to probabilities; every network is built before the clock starts, and its
weights do not matter. Ours: the pass into an empty cache, in the precision that `auto` chooses,
and the head; timm: `create_dataset`, `create_loader` with 2 workers and mobilenetv2_100 in float32,
as its inference script does by default; fastai: `get_preds` with 2 workers."""
_REPORTS = """Ours: the saved predictions read from disk, then metrics with their intervals,
confusion matrix and all five categories. fastai: `ClassificationInterpretation.from_learner`,
`top_losses`, `confusion_matrix`; it keeps no predictions, so each passes the images through the
network again, which a user waits for too. The last line leaves the network out: its scores lie
ready."""
