"""A report says what scikit-learn says, shows the right images, and survives JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_score,
    recall_score,
)

from engine.analysis.clip_report import clip_report
from engine.analysis.report import Category, image, report
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN, Predictions, make_predictions

NAMES = ("cat", "dog")


def _drawn(n: int = 300, n_classes: int = 2, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(n_classes, 0.5), n)
    y = np.array([rng.choice(n_classes, p=row) for row in p])
    names = [f"class{c}" for c in range(n_classes)] if n_classes != 2 else list(NAMES)
    ids = [f"{i:04d}" for i in range(n)]
    return make_predictions(ids, [f"train/{i}.jpg" for i in ids], y, p, names)


def _by_hand() -> Predictions:
    p_dog = {"a": 0.1, "b": 0.4, "c": 0.8, "d": 0.95, "e": 0.7, "f": 0.2, "g": 0.55, "h": 0.05}
    y = [0, 0, 0, 1, 1, 1, 1, 0]
    p = np.array(list(p_dog.values()))
    paths = [f"{id}.jpg" for id in p_dog]
    return make_predictions(list(p_dog), paths, np.array(y), np.column_stack([1 - p, p]), NAMES)


def _ids(part: Category) -> list[str]:
    return [image.id for image in part.images]


@pytest.mark.parametrize("n_classes", [2, 5])
def test_its_numbers_are_scikit_learns(n_classes):
    predictions = _drawn(n_classes=n_classes)
    found = report(predictions)
    y, p, y_pred = predictions.y_true, predictions.probabilities, predictions.y_pred
    labels = list(range(n_classes))
    assert found.n == 300 and found.class_names == predictions.class_names
    assert found.accuracy == accuracy_score(y, y_pred)
    assert found.log_loss == pytest.approx(log_loss(y, p, labels=labels), rel=1e-12)
    expected = confusion_matrix(y, y_pred, labels=labels)
    np.testing.assert_array_equal(found.confusion_matrix, expected)
    assert [scores.name for scores in found.per_class] == list(predictions.class_names)
    precision = precision_score(y, y_pred, average=None)
    recall = recall_score(y, y_pred, average=None)
    assert [scores.precision for scores in found.per_class] == pytest.approx(precision)
    assert [scores.recall for scores in found.per_class] == pytest.approx(recall)
    counts = np.bincount(y, minlength=n_classes).tolist()
    assert [scores.count for scores in found.per_class] == counts
    assert found.accuracy_interval[0] < found.accuracy < found.accuracy_interval[1]
    assert found.log_loss_interval[0] < found.log_loss < found.log_loss_interval[1]
    table = found.to_pandas()
    assert table.columns.tolist() == ["class", "precision", "recall", "count"]
    assert table["count"].tolist() == counts


def test_the_five_categories_of_a_table_worked_by_hand():
    found = report(_by_hand(), n=10)
    ids = {(part.name, part.predicted): _ids(part) for part in found.categories}
    assert set(ids.pop(("random-correct", None))) == {"a", "b", "d", "e", "g", "h"}
    assert set(ids.pop(("random-incorrect", None))) == {"c", "f"}
    assert ids == {
        ("most-correct", "cat"): ["h", "a", "b"],
        ("most-correct", "dog"): ["d", "e", "g"],
        ("most-incorrect", "cat"): ["f"],
        ("most-incorrect", "dog"): ["c"],
        ("most-uncertain", None): ["g", "b", "e", "c", "f", "a", "d", "h"],
    }
    value = found.as_json()["categories"]
    assert [entry["id"] for entry in value["most-correct"]["cat"]] == ["h", "a", "b"]
    assert {entry["id"] for entry in value["random-incorrect"]} == {"c", "f"}


def test_n_limits_every_list_and_the_seed_moves_the_random_ones_alone():
    predictions = _drawn()
    one, same, other = (report(predictions, n=3, seed=seed) for seed in (0, 0, 1))
    assert one.categories == same.categories
    assert [len(part.images) for part in one.categories] == [3] * 7
    assert one.of("random-correct") != other.of("random-correct")
    assert one.of("most-correct") == other.of("most-correct")


def test_an_image_is_described_with_its_own_loss():
    assert asdict(image(_by_hand(), 2)) == {
        "id": "c", "path": "c.jpg", "label": "cat", "predicted": "dog",
        "probabilities": {"cat": pytest.approx(0.2), "dog": 0.8},
        "log_loss": pytest.approx(-np.log(0.2)),
    }  # fmt: skip


def test_an_image_without_a_label_has_no_loss():
    unknown = make_predictions(["1"], ["1.jpg"], np.array([UNKNOWN]), np.array([[0.3, 0.7]]), NAMES)
    shown = image(unknown, 0)
    assert (shown.label, shown.log_loss, shown.predicted) == (None, None, "dog")


def test_a_class_never_predicted_has_no_precision_and_the_report_is_json():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    found = report(make_predictions(["1", "2", "3"], ["", "", ""], np.array([0, 1, 0]), p, NAMES))
    value = found.as_json()
    assert value["per_class"]["dog"] == {
        "precision": None, "precision_interval": None, "recall": 0.0,
        "recall_interval": pytest.approx([*binomtest(0, 1).proportion_ci()]), "count": 1,
    }  # fmt: skip
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_a_validation_set_without_labels_is_refused():
    empty = make_predictions([], [], np.array([], int), np.empty((0, 2)), NAMES)
    unknown = make_predictions(["1"], ["1.jpg"], np.array([UNKNOWN]), np.array([[0.3, 0.7]]), NAMES)
    for predictions in (empty, unknown):
        with pytest.raises(UserError, match="label"):
            report(predictions)
        with pytest.raises(UserError, match="label"):
            clip_report(predictions, 0.025, 0.975)


@pytest.mark.parametrize("bounds", [(0.025, 0.975), (0.1, 0.6), (0.0, 1.0)])
def test_clip_says_what_clipping_by_hand_gives(bounds):
    predictions = _by_hand()
    found = clip_report(predictions, *bounds)
    p_dog = predictions.probabilities[:, 1]
    clipped = p_dog.clip(*bounds)
    y = predictions.y_true
    assert (found.lower, found.upper) == bounds
    assert found.log_loss_before == pytest.approx(log_loss(y, p_dog), rel=1e-12)
    assert found.log_loss_after == pytest.approx(log_loss(y, clipped), rel=1e-12)
    changed = {"below": int((p_dog < bounds[0]).sum()), "above": int((p_dog > bounds[1]).sum())}
    value = found.as_json()
    assert value["touched"] == {**changed, "of": 8}
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_the_best_bounds_are_no_worse_than_any_on_the_curve():
    predictions = _drawn(seed=3)
    found = clip_report(predictions, 0.025, 0.975)
    y, p_dog = predictions.y_true, predictions.probabilities[:, 1]
    curve = found.to_pandas()
    for bound, loss in curve.iloc[:: max(1, len(curve) // 40)].itertuples(index=False):
        clipped = np.clip(p_dog, bound, 1 - bound)
        assert loss == pytest.approx(log_loss(y, clipped), rel=1e-9)
        assert found.best_symmetric.log_loss <= loss + 1e-12
    for best in (found.best_symmetric, found.best_independent):
        clipped = np.clip(p_dog, best.lower, best.upper)
        assert best.log_loss == pytest.approx(log_loss(y, clipped), rel=1e-9)
    assert found.best_independent.log_loss <= found.best_symmetric.log_loss + 1e-12
    assert found.interval[0] <= found.interval[1]
    assert found.gain_interval[0] <= found.gain_interval[1]


def test_a_wrong_image_costs_its_share_of_what_is_handed_in():
    found = clip_report(_by_hand(), 0.025, 0.975, n_test=12_500)
    assert found.n_submitted == 12_500
    assert found.confident_error_cost == pytest.approx(-np.log(0.025) / 12_500)
    assert clip_report(_by_hand(), 0.025, 0.975).n_submitted == 8
    epsilon = np.finfo(np.float64).eps
    unclipped = clip_report(_by_hand(), 0.0, 1.0)
    assert unclipped.confident_error_cost == pytest.approx(-np.log(epsilon) / 8)


@pytest.mark.parametrize("bounds", [(0.9, 0.1), (-0.1, 1.0), (0.0, 1.5), (float("nan"), 1.0)])
def test_impossible_bounds_are_refused(bounds):
    with pytest.raises(UserError, match="^(lower|upper)=|^The lower bound 0.9 must be smaller"):
        clip_report(_by_hand(), *bounds)
