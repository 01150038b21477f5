"""Finished runs of any size, made up without training; pictures from the demo's drawings."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.analysis.metrics import accuracy, log_loss
from engine.data.demo import draw_demo
from engine.data.headers import Unreadable
from engine.data.thumbnails import make_thumbnail
from engine.runs.predictions import make_predictions, save_predictions
from engine.runs.run import Run, create_run

CLASSES = ("cat", "dog")


def drawn(folder: Path, count: int) -> list[tuple[str, str]]:
    """Draw pictures and return path and checksum of those that can be read."""
    draw_demo(folder, train=count - 60, test=60)
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


def made_run(root: Path, files: list[tuple[str, str]], n: int, n_test: int, *, age: int = 0) -> Run:
    """Return a run of two classes, 4 % wrong, whose pictures share the files in turn.

    Parameters
    ----------
    n, n_test : predictions with a label and without
    age : days since it was made
    """
    rng = np.random.default_rng(0)
    run = create_run(
        "vgg16",
        {
            "name": f"{n:,} predictions", "class_names": CLASSES, "positive": "dog",
            "root": str(root), "data": str(root), "train": "head",
        },
        now=datetime.now(UTC) - timedelta(days=age),
    )  # fmt: skip
    images = []
    for split, count in (("valid", n), ("test", n_test)):
        y_true = rng.integers(0, 2, count)
        wrong = rng.random(count) < 0.04
        odds = np.where(wrong, -1, 1) * rng.gamma(2.0, 2.5, count) * np.where(y_true == 1, 1, -1)
        p = 1 / (1 + np.exp(-odds))
        names = pa.array([f"{split[0]}{i:07}" for i in range(count)], pa.string())
        chosen = rng.integers(0, len(files), count)
        paths = pa.array([path for path, _ in files]).take(pa.array(chosen))
        labels = y_true if split == "valid" else np.full(count, -1)
        predictions = make_predictions(names, paths, labels, np.column_stack([1 - p, p]), CLASSES)
        save_predictions(run.predictions_path(split), predictions)
        if split == "valid":
            figures = {
                "accuracy": accuracy(y_true, predictions.probabilities),
                "log_loss": log_loss(y_true, predictions.probabilities),
            }
            run.update_config(valid=figures)
        images.append(
            pd.DataFrame(
                {
                    "id": names.to_pylist(), "path": paths.to_pylist(), "split": split,
                    "label": np.array(CLASSES)[y_true] if split == "valid" else None,
                    "width": np.int32(320), "height": np.int32(320), "bytes": np.int64(20_000),
                    "sha256": pa.array([s for _, s in files]).take(pa.array(chosen)).to_pylist(),
                }
            )
        )  # fmt: skip
    aside = pd.DataFrame(columns=["path", "reason", "id", "split", "label"])
    run.save_tables(pd.concat(images, ignore_index=True), aside)
    run.set_status("done")
    return run
