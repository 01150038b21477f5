"""Cached read-only tables of runs, keyed on the run's name and the times of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dashboard.shared.cache import cached
from dashboard.shared.escape import one_line
from dashboard.shared.stamps import Stamp, stamp_of
from engine.analysis import metrics
from engine.data.image_groups import image_groups
from engine.errors import UserError
from engine.runs.images_table import read_images
from engine.runs.opening import is_file
from engine.runs.parquet_files import open_parquet
from engine.runs.predictions import UNKNOWN, Predictions
from engine.runs.run import OUT_OF_FOLD, Run
from engine.runs.run_list import list_runs, open_run
from engine.runs.training_images import TRAINING, training_labels

_SCORES = ("accuracy", "log_loss")

Key = tuple[str, str, int, int]  # run, split, time and size of the file


@dataclass(frozen=True)
class RunSummary:
    """One line of the run picker; ``scored_on`` says what its scores are of."""

    name: str
    title: str
    created: str
    backbone: str
    state: str
    accuracy: float | None
    log_loss: float | None
    scored_on: str = ""
    reason: str = ""  # why it is damaged
    data: str = ""  # name of the folder of its images

    @property
    def line(self) -> str:
        """Return what tells runs apart as one line: name or backbone, scores, date, data folder."""
        named = self.title != self.name
        parts = [one_line(self.title) if named else self.backbone or self.name]
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.2%}")
        if self.log_loss is not None:
            parts.append(f"log loss {self.log_loss:.4f}")
        parts += [self.scored_on, self.created[:16].replace("T", " "), one_line(self.data)]
        parts.append(self.backbone if named else self.name)
        return " · ".join(filter(None, parts))  # a phone shows the first fifty characters


@dataclass(frozen=True, eq=False)
class Table:
    """Predictions of one split and values derived from them; arrays are read-only.

    Attributes
    ----------
    key : key of the caches
    predictions : rows sorted by id
    positive : index of the positive class; None if more than two classes have none named
    y_pred : int array of shape (n,), -1 without a prediction
    score : float64 array of shape (n,), P(positive), or the top probability without a positive;
        nan without a prediction
    loss : float64 array of shape (n,), nan without a label or prediction
    """

    key: Key
    predictions: Predictions
    positive: int | None
    y_pred: np.ndarray
    score: np.ndarray
    loss: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.predictions)

    @property
    def predicted(self) -> bool:
        """Return whether the images have predictions, which training images do not have."""
        return self.key[1] != TRAINING

    @property
    def images(self) -> str:
        """Return the number of images and their kind as text."""
        kinds = {"valid": "validation", "test": "test", TRAINING: "training"}
        kind = kinds.get(self.key[1], "labelled")
        return f"{len(self):,} {kind} image{'s' * (len(self) != 1)}"

    @property
    def score_name(self) -> str:
        """Return the name of the score."""
        if self.positive is None:
            return "Top probability"
        return f"P({self.predictions.class_names[self.positive]})"

    @property
    def score_title(self) -> str:
        """Return the name of the score in words."""
        if self.positive is None:
            return self.score_name
        return f"Probability of {self.predictions.class_names[self.positive]}"

    @property
    def score_event(self) -> str:
        """Return the name of the observed frequency to which a calibrated score corresponds."""
        if self.positive is None:
            return "share of correct images"
        return f"share that were {self.predictions.class_names[self.positive]}"


def summaries() -> list[RunSummary]:
    """Return all runs, newest first; a damaged one is listed without figures."""
    return [_summary(run) for run in list_runs()]


def table(name: str, split: str = "valid") -> Table:
    """Return the predictions of a run; of the training images, train, only the labels.

    Raises
    ------
    UserError
        If the run or its predictions do not exist or are damaged.
    """
    run = open_run(name)
    listed = run.folder / "images.parquet"
    try:
        info = (listed if split == TRAINING else run.predictions_path(split)).stat()
    except OSError:
        run.predictions(split)  # raises a specific error
        raise
    return cached_table((run.name, split, info.st_mtime_ns, info.st_size))


def test_table(name: str) -> Table | None:
    """Return the test predictions of a run, or None if it has none."""
    return table(name, "test") if is_file(open_run(name).predictions_path("test")) else None


def test_is_labelled(name: str) -> bool:
    """Tell whether the run has test predictions and every one of them has a label."""
    path = open_run(name).predictions_path("test")
    try:
        info = path.stat()
    except OSError:
        return False
    return _all_labelled(str(path), info.st_mtime_ns, info.st_size)


@cached(64)
def _all_labelled(path: str, time: int, size: int) -> bool:
    """Look for missing labels in a file's footer alone."""
    try:
        with open_parquet(Path(path)) as file:
            footer = pq.ParquetFile(file).metadata
    except (OSError, pa.ArrowException, UserError):
        return False
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    columns = [g.column(i) for g in groups for i in range(g.num_columns)]
    labels = [c.statistics for c in columns if c.path_in_schema == "label"]
    return footer.num_rows > 0 and all(s is not None and s.null_count == 0 for s in labels)


def row_of(table: Table, image: str) -> int | None:
    """Return the row of an image by its id, or None."""
    at = pc.index(table.predictions.ids, pa.scalar(image, pa.string())).as_py()
    return at if at >= 0 else None


def groups(table: Table) -> np.ndarray | None:
    """Return the group of each row, int64 (n,), None where each image is one of its own."""
    return _groups(table.key)


def facts(table: Table, chosen: np.ndarray) -> pa.Table:
    """Return path, sha256, width, height, bytes, label and given label, null where unknown."""
    images, at = _images(table.key)
    found = images.take(pa.array(at[chosen], mask=at[chosen] < 0))
    return found.add_column(0, "path", table.predictions.paths.take(pa.array(chosen)))


def data_root(table: Table) -> Path:
    """Return the folder to which the table's image paths are relative."""
    name = table.key[0]
    return _root(name, stamp_of(open_run(name).folder / "config.json"))


def _summary(run: Run) -> RunSummary:
    try:
        config = run.config
    except UserError as error:
        return RunSummary(run.name, run.name, "", "", "damaged", None, None, reason=str(error))
    scored_on, scores = config.first_scores or ("", None)
    return RunSummary(
        run.name,
        run.title,
        config.created,
        config.network,
        run.status.state,
        scores.accuracy if scores else None,
        scores.log_loss if scores else None,
        scored_on,
        data=Path(config.root or config.data or "").name,
    )


@cached(8)
def cached_table(key: Key) -> Table:
    run, trained_on = open_run(key[0]), key[1] == TRAINING
    predictions = training_labels(run) if trained_on else run.predictions(key[1])
    p, y_true = predictions.probabilities, predictions.y_true
    y_pred = np.full(len(p), UNKNOWN) if trained_on else predictions.y_pred
    named = run.config.positive
    names = predictions.class_names
    positive = names.index(named) if named in names else (1 if len(names) == 2 else None)
    score = p[np.arange(len(p)), y_pred] if positive is None else p[:, positive].copy()
    loss = np.full(len(p), np.nan)
    known = y_true != UNKNOWN
    rows = slice(None) if known.all() else known  # a mask would copy the table
    if not trained_on:
        loss[rows] = metrics.per_sample_log_loss(y_true[rows], p[rows])
    for array in (p, y_true, y_pred, score, loss):
        array.setflags(write=False)
    return Table(key, predictions, positive, y_pred, score, loss)


@cached(8)
def _images(key: Key) -> tuple[pa.Table, np.ndarray]:
    """Return the images of a split, and the position of each prediction's image (-1 for none)."""
    path = open_run(key[0]).folder / "images.parquet"
    columns = ["id", "sha256", "width", "height", "bytes", "label"]
    splits = ["train", "valid"] if key[1] in OUT_OF_FOLD else [key[1]]
    found = read_images(path, columns, ["given"], splits)
    if "given" not in found.column_names:  # verdicts changed no label
        found = found.append_column("given", found["label"])
    found = found.sort_by("id") if len(splits) > 1 else found
    images = found.combine_chunks()  # otherwise every take would combine the chunks again
    ids, known = cached_table(key).predictions.ids, images["id"].combine_chunks()
    known = known.cast(pa.string())  # pandas writes large strings, which never compare equal
    images = images.drop_columns(["id"])
    if ids.equals(known):  # true for runs made by `fit`; a lookup takes far longer
        where = np.arange(len(ids))
    else:
        where = np.asarray(pc.fill_null(pc.index_in(ids, known), -1), dtype=np.int64)
    where.setflags(write=False)
    return images, where


@cached(8)
def _groups(key: Key) -> np.ndarray | None:
    return image_groups(open_run(key[0]), key[1], cached_table(key).predictions)


@cached(8)
def _root(name: str, stamp: Stamp) -> Path:
    return open_run(name).data_root
