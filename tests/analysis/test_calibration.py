from __future__ import annotations

import numpy as np
import pytest
import sklearn.calibration
from scipy.stats import binom

from engine.analysis.calibration import (
    expected_calibration_error,
    probability_histogram,
    reliability_curve,
)
from tests.support.score_tables import table


def test_expected_calibration_error_by_hand() -> None:
    # five bins: confidences 0.55 0.6 | 0.7 0.8 | 0.9, as bins are closed on the right
    confidence = np.array([0.55, 0.6, 0.7, 0.8, 0.9])
    probabilities = np.column_stack([confidence, 1 - confidence])
    y_true = np.array([0, 1, 0, 0, 1])
    # |1 - 1.15| + |2 - 1.5| + |0 - 0.9|, over five images
    expected = (0.15 + 0.5 + 0.9) / 5
    assert expected_calibration_error(y_true, probabilities, 5) == pytest.approx(expected)
    with pytest.raises(ValueError, match="n_bins 0"):
        expected_calibration_error(y_true, probabilities, 0)


@pytest.mark.parametrize("n_classes", [2, 6])
def test_reliability_agrees_with_scikit_learn_and_carries_the_calibration_error(
    n_classes: int,
) -> None:
    y_true, probabilities = table(800, n_classes, seed=3)
    curve = reliability_curve(y_true, probabilities, 10, positive=1)
    observed, predicted = sklearn.calibration.calibration_curve(
        y_true == 1, probabilities[:, 1], n_bins=10
    )
    np.testing.assert_allclose(curve.fraction_correct, observed)
    np.testing.assert_allclose(curve.mean_predicted, predicted)
    np.testing.assert_allclose(
        curve.low, binom(curve.counts, curve.mean_predicted).ppf(0.025) / curve.counts
    )
    np.testing.assert_allclose(
        curve.high, binom(curve.counts, curve.mean_predicted).ppf(0.975) / curve.counts
    )
    top = reliability_curve(y_true, probabilities, 15)
    hits = probabilities.argmax(axis=1) == y_true
    observed, predicted = sklearn.calibration.calibration_curve(
        hits, probabilities.max(axis=1), n_bins=15
    )
    np.testing.assert_allclose(top.fraction_correct, observed)
    np.testing.assert_allclose(top.mean_predicted, predicted)
    assert top.counts.sum() == 800
    error = np.average(np.abs(observed - predicted), weights=top.counts)
    assert expected_calibration_error(y_true, probabilities, 15) == pytest.approx(error)


def test_unknown_labels_and_no_images_have_no_calibration() -> None:
    for metric in (expected_calibration_error, reliability_curve):
        with pytest.raises(ValueError, match="class -1 is not one of the 2"):
            metric(np.array([0, -1]), np.full((2, 2), 0.5))
    nothing = np.empty(0, dtype=int), np.empty((0, 2))
    with pytest.raises(ValueError, match="at least one image"):
        expected_calibration_error(*nothing)
    assert len(reliability_curve(*nothing).counts) == 0


def test_probability_histogram_by_hand() -> None:
    p = np.array([0.0, 0.1, 0.3, 0.6, 0.9, 1.0])
    probabilities = np.column_stack([1 - p, p])
    histogram = probability_histogram(np.array([0, 1, 0, 1, 0, -1]), probabilities, n_bins=4)
    assert histogram.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert histogram.correct.tolist() == [1, 1, 1, 0]
    assert histogram.incorrect.tolist() == [1, 0, 0, 1]
    assert histogram.unlabelled.tolist() == [0, 0, 0, 1]
    mirrored = probability_histogram(np.zeros(6, int), probabilities, n_bins=4, positive=0)
    assert mirrored.correct.tolist() == [0, 0, 1, 2]
    with pytest.raises(ValueError, match="class 2"):
        probability_histogram(np.zeros(6, int), probabilities, positive=2)


def test_probability_histogram_of_many_classes_counts_the_top_probability() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]])
    histogram = probability_histogram(np.array([0, 1]), probabilities, n_bins=2)
    assert histogram.correct.tolist() == [0, 1]
    assert histogram.incorrect.tolist() == [1, 0]
