"""What twice as many images gain: the learning curve's promise from one half, against the truth."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import engine
from engine.analysis.learning_curve import LearningCurve, learning_curve
from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.near_duplicates import assign_folds
from engine.model.extractor import open_model
from engine.model.features import Features
from engine.model.head import HeadOptions, train_head
from engine.model.learning_curve import LabelledFeatures, losses_by_share
from tests.benchmarks.material import REAL_DATA, weights_file
from tests.benchmarks.report import machine, table

TITLE = "What twice as many images gain: promised and true"
SETS = ("dogs-vs-cats", "flowers")
DRAWS = int(os.environ.get("SECONDLOOK_BENCH_DRAWS", "100"))
_SCORED, _FOLDS = 1 / 3, 5  # share of the images that only score; folds of the curve, as `next` has


@dataclass(frozen=True, eq=False)
class Images:
    """The labelled images of a set: features, checksums, class indices and number of classes."""

    features: Features
    sha256: np.ndarray
    labels: np.ndarray
    n_classes: int

    def some(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features (n, width) and labels (n,) of these rows."""
        return self.features.of(self.sha256[rows].tolist()), torch.from_numpy(self.labels[rows])


def draw(images: Images, rng: np.random.Generator) -> tuple[LearningCurve, float, float]:
    """Return the curve of half of the training images, and the log loss of that half and of all."""
    order = rng.permutation(len(images.labels))
    scored, pool = np.split(order, [round(_SCORED * len(order))])
    half, options = pool[: len(pool) // 2], HeadOptions()
    losses, strengths = [], []
    values, labels = images.some(scored)
    for rows in (half, pool):
        train = images.some(rows)
        head = train_head(train, train, images.n_classes, options, on_epoch=lambda _: None)
        p = head.probabilities(values).numpy()
        losses.append(float(per_sample_log_loss(labels.numpy(), p).mean()))
        strengths.append(head.l2 * len(rows))
    own = images.labels[half]
    groups = np.arange(len(half))
    data = LabelledFeatures(
        images.features, images.sha256[half].tolist(), own, images.n_classes,
        assign_folds(own, groups, _FOLDS), groups,
    )  # fmt: skip
    found = losses_by_share(data, options, strengths[0])
    return learning_curve(found.sizes, found.losses, len(half)), *losses


def measure() -> str:
    """Measure everything and return the section."""
    rows = [_row(name) for name in SETS if (REAL_DATA / name / "train").is_dir()]
    if not rows:
        return "Not measured: no photographs here."
    head = (
        "", "draws", "images", "log loss with one half", "gain of the other half", "promised",
        "mean size of the error", "that of promising nothing", "intervals that hold the gain",
    )  # fmt: skip
    return "\n\n".join([machine(("torch", "torchvision")), table(head, rows), _HOW])


def _row(name: str) -> list[str]:
    images, found = _images(REAL_DATA / name), []
    for seed in range(DRAWS):
        curve, with_half, with_all = draw(images, np.random.default_rng([3, seed]))
        found.append((curve.gain, *curve.interval, with_half, with_half - with_all))
    gain, low, high, with_half, true = np.array(found).T
    return [
        name, f"{DRAWS}", f"{len(images.labels)}", f"{with_half.mean():.4f}", f"{true.mean():.4f}",
        f"{gain.mean():.4f}", f"{abs(gain - true).mean():.4f}", f"{abs(true).mean():.4f}",
        f"{np.mean((low <= true.mean()) & (true.mean() <= high)):.2f}",
    ]  # fmt: skip


def _images(folder: Path) -> Images:
    """Fit once, which computes the features."""
    home = os.environ.get("SECONDLOOK_HOME")
    with tempfile.TemporaryDirectory() as name:
        os.environ["SECONDLOOK_HOME"] = name
        try:
            weights, _ = weights_file("mobilenet_v2", Path(name))
            run = engine.fit(folder, backbone="mobilenet_v2", weights=weights)
            known, names = run.images, run.class_names
            known = known[known["label"].notna() & (known["split"] != "test")]
            known = known.drop_duplicates("sha256")
            labels = np.searchsorted(names, known["label"].to_numpy(str))
            features = open_model(run)[0].kept_features(known)
        finally:
            os.environ.pop("SECONDLOOK_HOME")
            if home is not None:
                os.environ["SECONDLOOK_HOME"] = home
    return Images(features, known["sha256"].to_numpy(str), labels, len(names))


_HOW = """In each draw a third of the labelled photographs only scores. Half of the others gives the
curve, by five folds and at an eighth to all of them, as `next` does; it promises what twice as many
images gain. The truth is the log loss of a head on that half less that of a head on both halves.
The interval has to hold the mean gain of all draws. MobileNetV2."""
