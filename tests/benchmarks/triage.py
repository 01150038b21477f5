"""Triage: planted faults found, against cleanlab alone and sorting by loss; and how long it takes.

Real photographs with 3 % of the labels exchanged, the demo with its planted faults, and made-up
features of 25,000 + 12,500 images.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from cleanlab.filter import find_label_issues
from sklearn.metrics import average_precision_score

from engine.analysis.metrics import per_sample_log_loss
from engine.data.demo import demo_options, draw_demo
from engine.model.extractor import open_model
from engine.model.fit import fit
from engine.model.shards import write_shard
from engine.model.triage import triage
from engine.runs.fit_options import FitOptions
from engine.runs.run import OUT_OF_FOLD, Run
from tests.benchmarks.clocked import ROOT
from tests.benchmarks.material import labelled_split, weights_file
from tests.benchmarks.report import load, machine, table

TITLE = "Labels one can fix"
SEEDS, SHARE = (0, 1, 2), 0.03
TRAIN, TEST, SHARD = 25_000, 12_500, 1024
PACKAGES = ("torch", "cleanlab", "scikit-learn")


def measure() -> str:
    """Return the section: flipped photographs, planted demo, seconds at 25,000."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["SECONDLOOK_HOME"] = str(place / "workspace")
        weights, kind = weights_file("mobilenet_v2", place)
        options = {"backbone": "mobilenet_v2", "weights": str(weights)}
        runs, flipped = _flipped(place, options)
        demo = _planted(place, options)
        seconds = _seconds(runs[-1])
    return "\n\n".join(
        [machine(PACKAGES), f"MobileNetV2, {kind}, head on frozen features. Load {load()}.",
         flipped, demo, seconds]
    )  # fmt: skip


def _flipped(place: Path, options: dict[str, Any]) -> tuple[list[Run], str]:
    split = labelled_split(place / "images")
    runs, rows = [], []
    for seed in SEEDS:
        data = place / f"flipped{seed}.csv"
        wrong = _exchanged(data, split.files, seed)
        runs.append(fit(FitOptions(data, valid=len(split.files) // 4, **options)).run)
        found = triage(runs[-1])
        rows.append([f"seed {seed}, {len(wrong)} exchanged", *_precision(runs[-1], found, wrong)])
    head = ["average precision", "triage (label)", "cleanlab alone", "by loss", "at the number"]
    said = f"{split.said}, 3 % of the labels exchanged; all by the same out-of-fold predictions."
    return runs, f"{said}\n\n{table(head, rows)}"


def _exchanged(data: Path, files: list[Path], seed: int) -> set[str]:
    """Write a list of the images in which some labels are exchanged; return whose."""
    names = sorted({file.parent.name for file in files})
    wrong = np.random.default_rng(seed).random(len(files)) < SHARE
    with open(data, "w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["path", "label"])
        for file, is_wrong in zip(files, wrong.tolist(), strict=True):
            label = file.parent.name
            given = names[1 - names.index(label)] if is_wrong else label
            writer.writerow([file.relative_to(data.parent).as_posix(), given])
    return {
        file.relative_to(data.parent).as_posix() for file, w in zip(files, wrong, strict=True) if w
    }


def _precision(run: Run, found: pd.DataFrame, wrong: set[str]) -> list[str]:
    """Return average precision of triage, cleanlab, loss; and precision at the number planted."""
    made = run.predictions(OUT_OF_FOLD[1])
    paths = made.paths.to_pylist()
    truth = np.array([path in wrong for path in paths])
    labels = found[found["kind"] == "label"]
    ranked = labels.set_index("path")["score"].reindex(paths).fillna(0).to_numpy()
    loss = per_sample_log_loss(made.y_true, made.probabilities)
    first = find_label_issues(
        made.y_true, made.probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    alone = loss / loss.max()
    alone[first] += 1  # what confident learning names comes first
    scores = [average_precision_score(truth, each) for each in (ranked, alone, loss)]
    hits = labels["path"].head(len(wrong)).isin(wrong).mean()
    return [*(f"{score:.3f}" for score in scores), f"{hits:.3f}"]


def _planted(place: Path, options: dict[str, Any]) -> str:
    folder = place / "demo"
    draw_demo(folder)
    planted = pd.read_csv(folder / "planted.csv").set_index("path")["kind"]
    rows = []
    for name, chosen in (
        ("MobileNetV2, head, --folds 5", FitOptions(folder, folds=5, **options)),
        ("ResNet-18 from nothing (`demo --fit`)", demo_options(folder)),
    ):
        run = fit(chosen).run
        found = triage(run)
        readable = set(run.images["path"])
        wrong = [path for path in planted.index[planted == "wrong-label"] if path in readable]
        odd = planted.isin(["both-animals", "neither"])
        labels = found[found["kind"] == "label"].head(len(wrong))
        leaks = (planted == "near-duplicate").sum()
        rows.append([
            name,
            f"{labels['path'].isin(wrong).mean():.3f} ({len(wrong)})",
            f"{found['path'].head(100).isin(planted.index[odd]).sum()} of {odd.sum()}",
            f"{(found['kind'] == 'leak').sum()} of {leaks}",
        ])  # fmt: skip
    head = ["demo", "precision = recall at the number planted", "both or neither in the first 100",
            "leaks"]  # fmt: skip
    return table(head, rows)


def _seconds(like: Run) -> str:
    """Time the command on features mixed of a run's own, as many as the competition has."""
    run = _enlarged(like)
    command = [sys.executable, "-m", "engine", "triage", run.name, "--json"]
    taken = []
    for _ in range(3):
        run.predictions_path(OUT_OF_FOLD[1]).unlink(missing_ok=True)
        begun = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    return (
        f"`triage` on {TRAIN:,} labelled and {TEST:,} test images, 1,280 features each from the "
        f"cache, out-of-fold heads trained on the spot, interpreter start included: "
        f"{np.median(taken):.1f} s (of 3: {min(taken):.1f} to {max(taken):.1f}), load {load()}."
    )


def _enlarged(like: Run) -> Run:
    """Make a run of mixtures of two images of a class each, and some noise."""
    extractor, _ = open_model(like)
    images = like.images
    images = images[images["label"].notna()].reset_index(drop=True)
    own = extractor.features(like.data_root, images).of(images["sha256"].tolist())
    rng, n = np.random.default_rng(0), TRAIN + TEST
    dog = (images["label"] == like.class_names[1]).to_numpy()
    one, two = rng.integers(0, len(own), (2, n))
    two = np.where(dog[one] == dog[two], two, one)
    sums = [f"{i:064x}" for i in range(n)]
    for start in range(0, n, SHARD):
        part = slice(start, start + SHARD)
        share = torch.from_numpy(rng.uniform(0.2, 0.8, (len(sums[part]), 1)).astype(np.float32))
        mixed = own[one[part]] * share + own[two[part]] * (1 - share)
        noise = rng.normal(0, 0.25, mixed.shape).astype(np.float32).clip(0)
        write_shard(extractor._folder, sums[part], (mixed + torch.from_numpy(noise)).half())
    run = Run(like.folder.with_name(f"{like.name}-large"))
    shutil.copytree(like.folder, run.folder)
    names = np.array(like.class_names)[dog[one].astype(int)]
    run.save_tables(
        pd.DataFrame(
            {
                "id": [f"{i:06}" for i in range(n)],
                "path": [f"train/{i}.jpg" for i in range(n)],
                "split": np.repeat(["train", "valid", "test"], [TRAIN - 2000, 2000, TEST]),
                "label": np.where(np.arange(n) < TRAIN, names, None),
                "width": np.int32(300), "height": np.int32(300), "bytes": np.int64(1),
                "sha256": sums,
            }
        ),
        run.quarantine,
    )  # fmt: skip
    return run
