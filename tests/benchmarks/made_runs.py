"""Finished runs of any size, made up without training; images from the demo's drawings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.analysis.metrics import accuracy, log_loss
from engine.data.demo import draw_demo
from engine.data.formats import Unreadable
from engine.data.thumbnails import make_thumbnail
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import make_predictions
from engine.runs.run import Run
from tests.support.run_folders import run_with, set_keys

CLASSES = ("cat", "dog")


def drawn(folder: Path, count: int) -> list[tuple[str, str]]:
    """Draw images and return path and checksum of those that can be read."""
    draw_demo(folder, train=count - 60, test=60)
    (folder / "sample_submission.csv").unlink()  # it asks for the test images drawn here
    found = []
    for path in sorted(folder.glob("*/*.jpg")):
        content = path.read_bytes()
        try:
            make_thumbnail(content, 32)
        except Unreadable:
            continue
        sha256 = hashlib.sha256(content).hexdigest()
        found.append((path.relative_to(folder).as_posix(), sha256))
    return found


def made_run(
    root: Path,
    files: list[tuple[str, str]],
    n: int,
    n_test: int,
    *,
    classes: Sequence[str] = CLASSES,
    age: int = 0,
) -> Run:
    """Return a run whose images share the files in turn; of two classes 4 % are wrong.

    Parameters
    ----------
    n, n_test : predictions with a label and without
    age : days since it was made
    """
    rng = np.random.default_rng(0)
    run = run_with(
        "vgg16",
        {
            "name": f"{n:,} predictions", "class_names": classes, "train": "head",
            "positive": classes[1] if len(classes) == 2 else None,
            "root": str(root), "data": str(root), "n": {"test": n_test},
        },
        now=datetime.now(UTC) - timedelta(days=age),
    )  # fmt: skip
    images = []
    for split, count in (("valid", n), ("test", n_test)):
        y_true = rng.integers(0, len(classes), count)
        p = _two(rng, y_true) if len(classes) == 2 else _many(rng, y_true, len(classes))
        names = pa.array([f"{split[0]}{i:07}" for i in range(count)], pa.string())
        chosen = rng.integers(0, len(files), count)
        paths = pa.array([path for path, _ in files]).take(pa.array(chosen))
        labels = y_true if split == "valid" else np.full(count, -1)
        predictions = make_predictions(names, paths, labels, p, classes)
        save_predictions(run.predictions_path(split), predictions)
        if split == "valid":
            figures = {
                "accuracy": accuracy(y_true, predictions.probabilities),
                "log_loss": log_loss(y_true, predictions.probabilities),
            }
            set_keys(run, valid=figures)
        images.append(
            pd.DataFrame(
                {
                    "id": names.to_pylist(), "path": paths.to_pylist(), "split": split,
                    "label": np.array(classes)[y_true] if split == "valid" else None,
                    "width": np.int32(320), "height": np.int32(320), "bytes": np.int64(20_000),
                    "sha256": pa.array([s for _, s in files]).take(pa.array(chosen)).to_pylist(),
                }
            )
        )  # fmt: skip
    aside = pd.DataFrame(columns=["path", "reason", "id", "split", "label"])
    run.save_tables(pd.concat(images, ignore_index=True), aside)
    run.set_status("done")
    return run


def _two(rng: np.random.Generator, y_true: np.ndarray) -> np.ndarray:
    wrong = rng.random(len(y_true)) < 0.04
    odds = np.where(wrong, -1, 1) * rng.gamma(2.0, 2.5, len(y_true)) * np.where(y_true == 1, 1, -1)
    p = 1 / (1 + np.exp(-odds))
    return np.column_stack([1 - p, p])


def _many(rng: np.random.Generator, y_true: np.ndarray, n_classes: int) -> np.ndarray:
    """Return probabilities as a network gives them: most of a row on a few classes near by."""
    p = rng.standard_normal((len(y_true), n_classes))
    p *= 1.6
    near = (y_true[:, None] + rng.integers(-5, 6, (len(y_true), 3))) % n_classes
    rows = np.arange(len(y_true))
    for column in (*near.T, y_true):
        p[rows, column] += rng.gamma(2.0, 2.5, len(y_true))
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return p
