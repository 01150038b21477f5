"""What a validation set says, as plain values: metrics, matrix, categories, clip bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.analysis.bounds import (
    best_independent,
    best_symmetric,
    bootstrap_best_symmetric,
    symmetric_curve,
)
from engine.analysis.calibration import expected_calibration_error
from engine.analysis.categories import CATEGORIES, category_rows
from engine.analysis.clipping import check_bounds, clip_loss, touched, wrong_cost
from engine.analysis.metrics import (
    confusion_matrix,
    log_loss,
    mean_interval,
    most_confused,
    per_sample_log_loss,
    precision_recall,
)
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN, Predictions

_PER_CLASS = ("most-correct", "most-incorrect")
_LISTED = 100


def report(predictions: Predictions, n: int = 4, seed: int = 0) -> dict[str, Any]:
    """Summarise labelled predictions.

    Parameters
    ----------
    n
        Images shown of each category (of each class, for the confident ones).
    seed
        Chooses the random ones.

    Returns
    -------
    dict
        n, class_names, accuracy, log_loss, both with a 95 % bootstrap interval,
        expected_calibration_error, per_class (precision, recall, count), confusion_matrix (rows
        true, columns predicted), most_confused, and categories: lists of images, by class for
        the confident ones.

    Raises
    ------
    UserError
        When there are no images, or not all of them have a label.
    """
    _require_labels(predictions)
    y, p, names = predictions.y_true, predictions.probabilities, predictions.class_names
    losses = per_sample_log_loss(y, p)
    y_pred = predictions.y_pred
    hits = (y_pred == y).astype(np.float64)
    matrix = confusion_matrix(y, y_pred, len(names))
    precision, recall = precision_recall(matrix)

    def chosen(category: str) -> Any:
        rows = category_rows(category, y, p, seed=seed)
        if category not in _PER_CLASS:
            return described(rows)
        return {name: described(rows[y_pred[rows] == c]) for c, name in enumerate(names)}

    def described(rows: np.ndarray) -> list[dict[str, Any]]:
        return [image(predictions, row) for row in rows[:n].tolist()]

    return {
        "n": len(predictions),
        "class_names": list(names),
        "accuracy": float(hits.mean()),
        "accuracy_interval": list(mean_interval(hits, seed=seed)),
        "log_loss": float(losses.mean()),
        "log_loss_interval": list(mean_interval(losses, seed=seed)),
        "expected_calibration_error": expected_calibration_error(y, p),
        "per_class": {
            name: {
                "precision": _number(precision[c]),
                "recall": _number(recall[c]),
                "count": int(matrix[c].sum()),
            }
            for c, name in enumerate(names)
        },
        "confusion_matrix": matrix.tolist(),
        "most_confused": [
            {"label": names[true], "predicted": names[predicted], "count": count}
            for true, predicted, count in most_confused(matrix)
        ],
        "categories": {category: chosen(category) for category in CATEGORIES},
    }


def image(predictions: Predictions, row: int) -> dict[str, Any]:
    """Describe one image: id, path, label, predicted, probabilities, log_loss.

    Of more than 100 classes, ``probabilities`` holds the 100 likeliest and the true one.
    """
    names = predictions.class_names
    label = int(predictions.y_true[row])
    p = predictions.probabilities[row]
    known = label >= 0
    listed: Sequence[int] = range(len(names))
    if len(names) > _LISTED:
        likeliest = np.argpartition(-p, _LISTED)[:_LISTED].tolist()
        listed = sorted({*likeliest, label} - {UNKNOWN})
    return {
        "id": predictions.ids[row].as_py(),
        "path": predictions.paths[row].as_py(),
        "label": names[label] if known else None,
        "predicted": names[int(p.argmax())],
        "probabilities": {names[c]: float(p[c]) for c in listed},
        "log_loss": float(per_sample_log_loss(np.array([label]), p[None])[0]) if known else None,
    }


def clip_report(
    predictions: Predictions,
    lower: float,
    upper: float,
    *,
    n_test: int = 0,
    positive: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Say what clip bounds do to the log loss, and where the best ones lie.

    Parameters
    ----------
    lower, upper
        Bounds on P(positive); with more than two classes on every probability.
    n_test
        Images handed in, for the price of one confidently wrong one; 0 takes the validation
        set's number.

    Returns
    -------
    dict
        lower, upper, log_loss_before, log_loss_after, touched, wrong_cost, best_symmetric,
        best_independent, interval (95 % bootstrap of the best symmetric bound), gain_interval,
        curve.

    Raises
    ------
    UserError
        When the bounds are impossible, there are no images, or not all of them have a label.
    """
    _require_labels(predictions)
    check_bounds(lower, upper)
    y, p = predictions.y_true, predictions.probabilities
    loss = clip_loss(y, p, positive, seed=seed)
    bound, symmetric = best_symmetric(loss)
    low, high, independent = best_independent(loss)
    band = bootstrap_best_symmetric(y, p, positive, seed=seed)
    bounds, curve = symmetric_curve(loss)
    below, above = touched(p, lower, upper, positive)
    n = n_test or len(predictions)
    return {
        "lower": lower,
        "upper": upper,
        "log_loss_before": log_loss(y, p),
        "log_loss_after": loss.at(lower, upper),
        "touched": {"below": below, "above": above, "of": len(predictions)},
        "wrong_cost": {
            "n": n,
            "log_loss": _number(wrong_cost(lower, upper, n, len(predictions.class_names))),
        },
        "best_symmetric": {"lower": bound, "upper": 1 - bound, "log_loss": symmetric},
        "best_independent": {"lower": low, "upper": high, "log_loss": independent},
        "interval": list(band.interval),
        "gain_interval": list(band.gain_interval),
        "sampled_rows": loss.sampled_rows,
        "curve": [
            {"bound": float(b), "log_loss": float(value)}
            for b, value in zip(bounds, curve, strict=True)
        ],
    }


def _require_labels(predictions: Predictions) -> None:
    if not predictions.labelled:
        raise UserError(
            "the validation set has no labels to compare with; fit on labelled images, or "
            "import a table whose label column is filled."
        )


def _number(value: float) -> float | None:
    """Return None where there is no finite number, which JSON cannot hold."""
    return float(value) if np.isfinite(value) else None
