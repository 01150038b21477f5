"""Runs made up for the dashboard: images, tables and predictions, without any training."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from engine.analysis.metrics import accuracy, log_loss
from engine.runs.prediction_files import save_predictions
from engine.runs.predictions import make_predictions
from engine.runs.run import Run
from engine.runs.run_results import ImageCounts, Scores
from tests.support.run_folders import run_with

MakeRun = Callable[..., Run]

HOSTILE = [
    "<script>alert(1)</script>",
    "![x](http://evil.invalid/x.png)",
    "\"double\" 'single' `back`",
    "line\nbreak",
    "🐈‍⬛ emoji",
    "x" * 200,
    '=HYPERLINK("http://evil.invalid")',
    "<img src=x onerror=alert(1)>",
    ":red[**bold**] $x^2$ &amp;",
]


def synthetic_run(
    folder: Path,
    *,
    n: int = 60,
    n_test: int = 20,
    classes: int = 2,
    hostile: bool = False,
    quarantined: int = 0,
    images: bool = True,
    seed: int = 0,
    name: str | None = None,
    state: str = "done",
    distinct: int = 64,
    wrong: float = 0.12,
    age: timedelta = timedelta(0),
) -> Run:
    """Make a run of ``n`` valid and ``n_test`` test images with plausible probabilities.

    At most ``distinct`` different images are drawn; further ones share a file. With
    ``hostile``, ids, classes and the run's name are what strangers might send.
    """
    rng = np.random.default_rng(seed)
    class_names = _class_names(classes, hostile)
    root = folder / f"data{seed}"
    files = _draw(root, distinct if images else 0, class_names, rng)
    created = datetime(2026, 3, 1, 12, tzinfo=UTC) - age
    run = run_with(
        "vgg16",
        {
            "name": ("<b>" + HOSTILE[1]) if hostile and name is None else name,
            "class_names": class_names,
            "positive": class_names[1] if classes == 2 else None,
            "root": str(root),
            "data": str(root),
            "weights": {"source": "default", "sha256": "0" * 64},
            "train": "head",
            "epochs": 3,
            "lr": 0.001,
            "batch_size": 64,
            "image_size": 224,
            "seed": seed,
            "precision": "float32",
            "device": "cpu",
            "train_counts": {c: 500 for c in class_names},
        },
        now=created,
    )
    tables = []
    for split, count in (("valid", n), ("test", n_test)):
        y_true = rng.integers(0, classes, count)
        y_pred = np.where(
            rng.random(count) < wrong, (y_true + rng.integers(1, classes, count)) % classes, y_true
        )
        p = _probabilities(y_pred, classes, rng)
        ids = _ids(count, split, hostile)
        chosen = [files[i % len(files)] for i in range(count)] if files else None
        paths = (
            [str(f.relative_to(root)) for f, _ in chosen]
            if chosen
            else [f"{i}.jpg" for i in range(count)]
        )
        labels = y_true if split == "valid" else np.full(count, -1)
        predictions = make_predictions(ids, paths, labels, p, class_names)
        save_predictions(run.predictions_path(split), predictions)
        if split == "valid" and count:
            valid = {"accuracy": accuracy(y_true, p), "log_loss": log_loss(y_true, p)}
        tables.append(
            pd.DataFrame(
                {
                    "id": ids,
                    "path": paths,
                    "split": split,
                    "label": [class_names[i] if split == "valid" else None for i in y_true],
                    "width": np.int32(320),
                    "height": np.int32(240),
                    "bytes": [f.stat().st_size for f, _ in chosen] if chosen else np.int64(9000),
                    "sha256": [sha for _, sha in chosen]
                    if chosen
                    else [f"{i:064x}" for i in range(count)],
                }
            )
        )
    images = pd.concat(tables).sort_values(["split", "id"], kind="stable")
    reasons = ["is no image", "ends too early", "has 120 megapixels, more than 100"]
    bad = pd.DataFrame(
        {
            "path": [
                f"train/{HOSTILE[i % 9] if hostile else f'bad.{i}.jpg'}" for i in range(quarantined)
            ],
            "reason": [reasons[i % 3] for i in range(quarantined)],
            "id": [f"bad{i}" for i in range(quarantined)],
            "split": ["test" if i % 3 == 2 else "train" for i in range(quarantined)],
            "label": [class_names[i % classes] if i % 3 != 2 else "" for i in range(quarantined)],
        },
        columns=["path", "reason", "id", "split", "label"],
    )
    run.save_tables(images, bad)
    run.update_config(
        n=ImageCounts(500 * classes, n, n_test, quarantined), scores=Scores(**valid) if n else None
    )
    run.write_epochs(_epochs(3))
    run.set_status(state, stage="predict", done=n, total=n)
    return run


def _class_names(classes: int, hostile: bool) -> list[str]:
    if hostile:
        return sorted([*HOSTILE[:classes], *(f"class {i:03}" for i in range(classes - 9))])
    animals = ["cat", "dog", "fox", "hare", "owl"]
    return animals[:classes] if classes <= 5 else [f"class {i:03}" for i in range(classes)]


def _ids(count: int, split: str, hostile: bool) -> list[str]:
    if split == "test":
        return [str(i + 1) for i in range(count)]
    if not hostile:
        return [f"{i:07}" for i in range(count)]
    return [f"{HOSTILE[i % 9]} {i}" if i < 27 else f"{i:07}" for i in range(count)]


def _probabilities(y_pred: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    n = len(y_pred)
    logits = rng.normal(0, 1, (n, classes))
    logits[np.arange(n), y_pred] = logits.max(axis=1) + rng.gamma(2.0, 1.6, n) + 0.01
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _draw(
    root: Path, count: int, class_names: list[str], rng: np.random.Generator
) -> list[tuple[Path, str]]:
    files = []
    (root / "train").mkdir(parents=True, exist_ok=True)
    for i in range(count):
        sky = tuple(int(v) for v in rng.integers(90, 240, 3))
        image = Image.new("RGB", (320, 240), sky)
        draw = ImageDraw.Draw(image)
        x, y, r = (
            int(v) for v in (rng.integers(70, 250), rng.integers(70, 170), rng.integers(30, 70))
        )
        fill = tuple(int(v) for v in rng.integers(10, 200, 3))
        draw.rectangle((0, y + r, 320, 240), fill=tuple(v // 2 for v in sky))
        (draw.ellipse if i % 2 else draw.rectangle)((x - r, y - r, x + r, y + r), fill=fill)
        out = io.BytesIO()
        image.save(out, "JPEG", quality=80)
        path = root / "train" / f"image.{i}.jpg"
        path.write_bytes(out.getvalue())
        files.append((path, hashlib.sha256(out.getvalue()).hexdigest()))
    return files


def _epochs(count: int) -> list[dict[str, Any]]:
    return [
        {
            "epoch": i + 1,
            "loss": 0.3 / (i + 1),
            "accuracy": 0.9 + 0.02 * i,
            "valid_loss": 0.28 / (i + 1),
            "valid_accuracy": 0.91 + 0.02 * i,
            "seconds": 1.5,
        }
        for i in range(count)
    ]
