"""Makes a run from the predictions of another tool and the folder of their images."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.analysis.metrics import accuracy, log_loss
from engine.data.dataset import Progress, examine
from engine.data.layouts import all_images
from engine.data.listing import Listing
from engine.data.names import AMBIGUOUS, match_names
from engine.errors import UserError, first_ten
from engine.runs.csv_text import read_csv_text
from engine.runs.files import sha256_of
from engine.runs.prediction_files import save_predictions
from engine.runs.prediction_table import read_predictions_table
from engine.runs.predictions import UNKNOWN, Predictions
from engine.runs.run import Run
from engine.runs.run_config import RunConfig
from engine.runs.run_list import create_run
from engine.runs.run_results import ImageCounts, ImportedFrom, Scores


@dataclass(frozen=True)
class Imported:
    """A run made from another tool's predictions.

    Attributes
    ----------
    run : the new run
    found, missing, ambiguous : number of rows with one image in the folder, none, or several
    renamed : the class of each label whose text differs from the class name
    """

    run: Run
    found: int
    missing: int
    ambiguous: int
    renamed: dict[str, str]


def import_run(
    file: Path,
    images: Path,
    name: str | None = None,
    progress: Progress | None = None,
    *,
    sample: Path | None = None,
    positive: str | None = None,
) -> Imported:
    """Make a run from a table of predictions and the folder of their images.

    Rows with a label become the validation set, rows without a label the test set. A row's image is
    the one whose path has the longest ending in common with the row's path (or its id); a row that
    fits two images gets none.

    Parameters
    ----------
    file : the table; see `read_predictions_table`
    images : the folder of the images
    name : display name of the run
    progress : called with ``(stage, done, total)``
    sample : the competition's sample file, whose columns the table has
    positive : the class whose probability the only column holds

    Raises
    ------
    UserError
        If the table cannot be used, or none of its images is in the folder.
    """
    header = None if sample is None else [name.strip() for name in read_csv_text(sample)[0]]
    table = read_predictions_table(file, header, positive)
    predictions = table.predictions
    listing = all_images(images)
    there = pa.array(listing.images["path"].tolist(), pa.string())
    rows = match_names(predictions.paths, there, listing.root)
    found = rows >= 0
    if not found.any():
        ids = predictions.ids[:10].to_pylist()
        raise UserError(
            f"{images} contains none of the images that {file} names, such as {first_ten(ids)}; "
            "give the folder that contains them."
        )
    here = there.take(pa.array(rows, mask=~found))
    predictions = replace(predictions, paths=pc.coalesce(here, predictions.paths))
    split = np.where(predictions.y_true == UNKNOWN, "test", "valid")
    frame = _listed(predictions, split)
    dataset = examine(Listing(listing.root, frame[found].reset_index(drop=True)), progress)
    why = np.where(rows == AMBIGUOUS, f"fits several images in {images}", f"not found in {images}")
    missing = frame[~found].assign(reason=why[~found])
    quarantine = pd.concat([dataset.quarantine, missing[dataset.quarantine.columns]])

    config = RunConfig(
        "imported",
        name=name,
        data=str(images.absolute()),
        root=str(listing.root),
        source=ImportedFrom(str(file.absolute()), sha256_of(file)),
        class_names=tuple(predictions.class_names),
        n=ImageCounts(quarantined=len(quarantine)),
    )
    run = _saved(config, predictions, split)
    run.save_tables(dataset.images, quarantine)
    scores = run.config.scores
    run.set_status("done", **asdict(scores) if scores else {})
    ambiguous = int(np.count_nonzero(rows == AMBIGUOUS))
    n_found = int(found.sum())
    return Imported(run, n_found, len(rows) - n_found - ambiguous, ambiguous, table.renamed)


def _listed(predictions: Predictions, split: np.ndarray) -> pd.DataFrame:
    """Return the rows as a listing of images has them."""
    names = np.array([*predictions.class_names, None], dtype=object)
    return pd.DataFrame(
        {
            "id": predictions.ids.to_pylist(),
            "path": predictions.paths.to_pylist(),
            "split": split,
            "label": names[predictions.y_true],
            "group": None,
            "fold": None,
        }
    )


def _saved(config: RunConfig, predictions: Predictions, split: np.ndarray) -> Run:
    """Create the run with its counts, scores and predictions of both splits."""
    valid, test = predictions.take(split == "valid"), predictions.take(split == "test")
    counts = np.bincount(valid.y_true, minlength=len(predictions.class_names))
    scores = None
    if len(valid):
        scores = Scores(
            accuracy(valid.y_true, valid.probabilities),
            log_loss(valid.y_true, valid.probabilities),
        )
    run = create_run(
        replace(
            config,
            n=replace(config.n, valid=len(valid), test=len(test)),
            scores=scores,
            train_counts=dict(zip(predictions.class_names, map(int, counts), strict=True)),
        )
    )
    save_predictions(run.predictions_path("valid"), valid)
    if len(test):
        save_predictions(run.predictions_path("test"), test)
    return run
