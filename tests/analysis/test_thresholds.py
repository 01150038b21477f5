"""Threshold curves agree with scikit-learn, and with counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from engine.analysis.thresholds import decisions, threshold_curves


@pytest.mark.parametrize(("n", "digits"), [(40, 1), (400, 6), (5000, 2)])
def test_curves_and_areas_are_scikit_learns(n, digits):
    rng = np.random.default_rng(n)
    positive = rng.random(n) < 0.3
    score = np.round(np.clip(0.4 * positive + 0.6 * rng.random(n), 0, 1), digits)  # with ties
    found = threshold_curves(positive, score)
    assert found.average_precision == pytest.approx(average_precision_score(positive, score))
    assert found.roc_auc == pytest.approx(roc_auc_score(positive, score))
    precision, recall, thresholds = precision_recall_curve(positive, score)
    np.testing.assert_array_equal(found.thresholds, thresholds[::-1])
    np.testing.assert_allclose(found.precision, precision[-2::-1])
    np.testing.assert_allclose(found.recall, recall[-2::-1])
    rate, _, thresholds = roc_curve(positive, score, drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, rate[1:])


def test_of_many_points_the_ends_are_kept():
    score = np.linspace(0, 1, 20_000)
    found = threshold_curves(score > 0.7, score)
    assert len(found.thresholds) == 1000 and found.roc_auc == 1
    assert (found.thresholds[0], found.thresholds[-1], found.recall[-1]) == (1, 0, 1)


def test_one_class_has_no_curve():
    with pytest.raises(ValueError, match="both classes"):
        threshold_curves(np.ones(3, dtype=bool), np.ones(3))


def test_decisions_count_images_by_hand():
    positive = np.array([True, True, True, False, False])
    score = np.array([0.9, 0.4, 0.3, 0.4, 0.1])
    found = decisions(positive, score, 0.4)  # an image on the threshold counts as positive
    assert found.counts == ((1, 1), (1, 2))
    assert (found.accuracy[0], found.precision[0]) == (3 / 5, 2 / 3)
    assert (found.recall[0], found.specificity[0]) == (2 / 3, 1 / 2)
    assert decisions(positive, score, 1.0).precision == (None, None)


def test_copies_of_an_image_count_once():
    positive, score = np.repeat([True, True, True, False, False], 20), np.linspace(0, 1, 100)
    groups = np.repeat(np.arange(20), 5)
    for name in ("accuracy", "recall", "specificity"):
        share, alone = getattr(decisions(positive, score, 0.5), name)
        grouped, ends = getattr(decisions(positive, score, 0.5, groups), name)
        assert grouped == share
        assert ends[1] - ends[0] > 1.5 * (alone[1] - alone[0])
