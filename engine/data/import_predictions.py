"""Makes a run from the predictions of another tool and the folder of their images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.analysis.metrics import accuracy, log_loss
from engine.data.dataset import Progress, examine
from engine.data.layouts import all_images
from engine.data.listing import Listing
from engine.errors import UserError, first_ten
from engine.runs.files import sha256_of
from engine.runs.prediction_table import read_predictions_table
from engine.runs.predictions import UNKNOWN, Predictions, save_predictions
from engine.runs.run import Run, create_run
from engine.runs.run_config import ImageCounts, ImportedFrom, RunConfig, Scores


def import_run(
    file: Path, images: Path, name: str | None = None, progress: Progress | None = None
) -> Run:
    """Make a run from a table of predictions and the folder of their images.

    Rows with a label become the validation set, rows without a label the test set. An image is
    looked up by its path in the folder, then by its file name, then by its file name without
    extension, each only if exactly one image matches.

    Raises
    ------
    UserError
        If the table cannot be used, or none of its images is in the folder.
    """
    predictions = read_predictions_table(file).predictions
    listing = all_images(images)
    paths = _paths(predictions, listing.images["path"].tolist())
    if not any(paths):
        ids = predictions.ids[:10].to_pylist()
        raise UserError(
            f"{images} contains none of the images that {file} names, such as {first_ten(ids)}."
        )
    shown = [path or old for path, old in zip(paths, predictions.paths.to_pylist(), strict=True)]
    predictions = replace(predictions, paths=pa.array(shown, pa.string()))
    split = np.where(predictions.y_true == UNKNOWN, "test", "valid")
    names = np.array([*predictions.class_names, None], dtype=object)
    frame = pd.DataFrame(
        {
            "id": predictions.ids.to_pylist(),
            "path": shown,
            "split": split,
            "label": names[predictions.y_true],
            "group": None,
            "fold": None,
        }
    )
    found = np.array([path is not None for path in paths])
    dataset = examine(Listing(listing.root, frame[found].reset_index(drop=True)), progress)
    missing = frame[~found].assign(reason=f"not found in {images}")
    quarantine = pd.concat([dataset.quarantine, missing[dataset.quarantine.columns]])

    valid = predictions.take(split == "valid")
    counts = np.bincount(valid.y_true, minlength=len(predictions.class_names))
    scores = None
    if len(valid):
        scores = Scores(
            accuracy(valid.y_true, valid.probabilities),
            log_loss(valid.y_true, valid.probabilities),
        )
    run = create_run(
        RunConfig(
            "imported",
            name=name,
            data=str(images.absolute()),
            root=str(listing.root),
            source=ImportedFrom(str(file.absolute()), sha256_of(file)),
            class_names=tuple(predictions.class_names),
            n=ImageCounts(
                valid=len(valid),
                test=len(predictions) - len(valid),
                quarantined=len(quarantine),
            ),
            scores=scores,
            train_counts=dict(zip(predictions.class_names, map(int, counts), strict=True)),
        )
    )
    run.save_tables(dataset.images, quarantine)
    save_predictions(run.predictions_path("valid"), valid)
    if len(valid) < len(predictions):
        save_predictions(run.predictions_path("test"), predictions.take(split == "test"))
    run.set_status("done", **asdict(scores) if scores else {})
    return run


def _paths(predictions: Predictions, there: list[str]) -> list[str | None]:
    """Return the path of each prediction's image, None where not exactly one image matches."""
    keys: tuple[Callable[[str], str], ...] = (
        str,
        lambda path: PurePosixPath(path).name,
        lambda path: PurePosixPath(path).stem,
    )
    tables = []
    for key in keys:
        counts = Counter(map(key, there))
        tables.append({key(path): path for path in there if counts[key(path)] == 1})

    def find(id: str, path: str) -> str | None:
        for wanted in (path, id):
            for key, table in zip(keys, tables, strict=True):
                if (hit := table.get(wanted) or table.get(key(wanted))) is not None:
                    return hit
        return None

    return [
        find(*row)
        for row in zip(predictions.ids.to_pylist(), predictions.paths.to_pylist(), strict=True)
    ]
