"""Summarises labelled predictions: scores, confusion matrix, and images of the five categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.analysis.categories import CATEGORIES, category_rows
from engine.analysis.class_scores import ClassScores, class_scores
from engine.analysis.intervals import image_count_text
from engine.analysis.metrics import most_confused, per_sample_log_loss
from engine.analysis.scores import Expected, score
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN, Predictions

if TYPE_CHECKING:
    import pandas as pd

PER_CLASS = ("most-correct", "most-incorrect")
_LISTED = 100


@dataclass(frozen=True)
class ConfusedPair:
    """How many images of class ``label`` are predicted as another class."""

    label: str
    predicted: str
    count: int


@dataclass(frozen=True)
class ImageSummary:
    """One image; label and log loss are None where there is no label.

    Of more than 100 classes, ``probabilities`` holds the 100 likeliest and the true one.
    """

    id: str
    path: str
    label: str | None
    predicted: str
    probabilities: dict[str, float]
    log_loss: float | None


@dataclass(frozen=True)
class Category:
    """Images of one of the five categories.

    Attributes
    ----------
    name : one of ``CATEGORIES``
    predicted : the class that they are predicted as, None for all classes
    images : in the order of the category
    """

    name: str
    predicted: str | None
    images: tuple[ImageSummary, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """Scores and images of labelled predictions; all intervals are 95 % intervals.

    Attributes
    ----------
    n, n_groups : number of images, and of independent groups; without groups both are equal
    class_names : index = row and column of ``confusion_matrix``
    accuracy, accuracy_interval : share of images whose likeliest class is the true one
    log_loss, log_loss_interval : mean of -log of the true class's probability, natural logarithm
    calibration_error : mean distance of confidence from accuracy, in 15 bins
    calibration_error_expected : that of a perfectly calibrated model with these probabilities: mean
        and 95th percentile
    per_class : precision, recall and count of each class
    confusion_matrix : int64 array of shape (n_classes, n_classes), rows true, columns predicted
    most_confused : the largest off-diagonal cells of the matrix, the largest first
    categories : images of the five categories; the confident ones are divided by class
    """

    n: int
    n_groups: int
    class_names: tuple[str, ...]
    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: float
    log_loss_interval: tuple[float, float]
    calibration_error: float
    calibration_error_expected: Expected
    per_class: tuple[ClassScores, ...]
    confusion_matrix: np.ndarray
    most_confused: tuple[ConfusedPair, ...]
    categories: tuple[Category, ...]

    def __repr__(self) -> str:
        """Return the scores."""
        (a_low, a_high), (l_low, l_high) = self.accuracy_interval, self.log_loss_interval
        images = image_count_text(self.n, self.n_groups)
        return (
            f"<report on {images}: accuracy {self.accuracy:.4f} ({a_low:.4f} to {a_high:.4f}), "
            f"log loss {self.log_loss:.4f} ({l_low:.4f} to {l_high:.4f})>"
        )

    def of(self, category: str) -> tuple[Category, ...]:
        """Return the parts of a ``category``: one for all classes, or one for each class."""
        return tuple(part for part in self.categories if part.name == category)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per class: class, precision, recall, count."""
        import pandas as pd

        rows = [(c.name, c.precision, c.recall, c.count) for c in self.per_class]
        return pd.DataFrame(rows, columns=["class", "precision", "recall", "count"])

    def as_json(self) -> dict[str, Any]:
        """Return the report as `second-look report --json` prints it."""
        categories: dict[str, Any] = {}
        for name in CATEGORIES:
            images = {part.predicted: list(map(asdict, part.images)) for part in self.of(name)}
            categories[name] = images if name in PER_CLASS else images[None]
        return {
            "n": self.n,
            "n_groups": self.n_groups,
            "class_names": list(self.class_names),
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "log_loss": self.log_loss,
            "log_loss_interval": list(self.log_loss_interval),
            "expected_calibration_error": self.calibration_error,
            "calibration_error_if_calibrated": self.calibration_error_expected._asdict(),
            "per_class": {c.name: c.as_json() for c in self.per_class},
            "confusion_matrix": self.confusion_matrix.tolist(),
            "most_confused": [asdict(pair) for pair in self.most_confused],
            "categories": categories,
        }


def report(
    predictions: Predictions, n: int = 4, seed: int = 0, groups: np.ndarray | None = None
) -> Report:
    """Summarise labelled predictions.

    Parameters
    ----------
    n
        Images shown of each category (of each class, for the confident ones).
    seed
        Chooses the random ones.
    groups
        Int array of shape (n,), equal where images belong together.

    Raises
    ------
    UserError
        When there are no images, or not all of them have a label.
    """
    require_labels(predictions)
    y, p, names = predictions.y_true, predictions.probabilities, predictions.class_names
    scores = score(y, p, groups)
    y_pred = predictions.y_pred
    parts = []
    for category in CATEGORIES:
        rows = category_rows(category, y, p, seed=seed)
        chosen: list[tuple[str | None, np.ndarray]] = [(None, rows)]
        if category in PER_CLASS:
            chosen = [(name, rows[y_pred[rows] == c]) for c, name in enumerate(names)]
        for name, of_class in chosen:
            images = tuple(image(predictions, row) for row in of_class[:n].tolist())
            parts.append(Category(category, name, images))
    return Report(
        n=len(predictions),
        n_groups=len(predictions) if groups is None else len(np.unique(groups)),
        class_names=names,
        accuracy=scores.accuracy,
        accuracy_interval=scores.accuracy_interval,
        log_loss=scores.log_loss,
        log_loss_interval=scores.log_loss_interval,
        calibration_error=scores.calibration_error,
        calibration_error_expected=scores.calibration_error_expected,
        per_class=class_scores(y, y_pred, names, groups),
        confusion_matrix=scores.confusion_matrix,
        most_confused=tuple(
            ConfusedPair(names[true], names[predicted], count)
            for true, predicted, count in most_confused(scores.confusion_matrix)
        ),
        categories=tuple(parts),
    )


def image(predictions: Predictions, row: int) -> ImageSummary:
    """Return the summary of the image in row ``row`` of the predictions."""
    names = predictions.class_names
    label = int(predictions.y_true[row])
    p = predictions.probabilities[row]
    known = label >= 0
    listed: Sequence[int] = range(len(names))
    if len(names) > _LISTED:
        likeliest = np.argpartition(-p, _LISTED)[:_LISTED].tolist()
        listed = sorted({*likeliest, label} - {UNKNOWN})
    return ImageSummary(
        id=predictions.ids[row].as_py(),
        path=predictions.paths[row].as_py(),
        label=names[label] if known else None,
        predicted=names[int(p.argmax())],
        probabilities={names[c]: float(p[c]) for c in listed},
        log_loss=float(per_sample_log_loss(np.array([label]), p[None])[0]) if known else None,
    )


def require_labels(predictions: Predictions) -> None:
    """Raise an error unless every image has a label.

    Raises
    ------
    UserError
        When there are no images, or not all of them have a label.
    """
    if not predictions.labelled:
        raise UserError(
            "the validation set has no labels to compare with; fit on labelled images, or "
            "import a table whose label column is filled."
        )


def finite(value: float) -> float | None:
    """Return the value, or None if it is missing or not finite, which JSON cannot store."""
    return float(value) if np.isfinite(value) else None
