"""Each correction is that of scikit-learn or of a plain search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression

from engine.analysis.corrections import CORRECTIONS, Correction, Fitted
from engine.analysis.metrics import log_loss
from tests.support.clip_tables import many_classes, tables, two_classes

BY_NAME = {correction.name: correction for correction in CORRECTIONS}
Table = tuple[np.ndarray, np.ndarray]


class Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose decision function is its input."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Scores:
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        return x[:, 0] if x.shape[1] == 1 else x

    def predict(self, x: np.ndarray) -> np.ndarray:
        scores = self.decision_function(x)
        return (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)


def fitted(name: str, table: Table, positive: int | None = None) -> Fitted:
    return BY_NAME[name].fit(*table, positive)


def scikit_learn(method: str, scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    model = FrozenEstimator(Scores().fit(scores, y))
    return np.asarray(
        CalibratedClassifierCV(model, method=method).fit(scores, y).predict_proba(scores)
    )


def log_odds(p: np.ndarray) -> np.ndarray:
    return (np.log(p[:, 1]) - np.log(p[:, 0]))[:, None]


def test_the_temperature_is_that_of_scikit_learn():
    for y, p in (two_classes(500), many_classes(500)):
        scores = log_odds(p) if p.shape[1] == 2 else np.log(p)
        ours = fitted("temperature", (y, p)).apply(p)
        np.testing.assert_allclose(ours, scikit_learn("temperature", scores, y), atol=2e-5)


def test_platt_s_line_is_that_of_scikit_learn():
    y, p = two_classes(500, 3)
    ours = fitted("platt", (y, p))
    theirs = scikit_learn("sigmoid", log_odds(p), y)
    np.testing.assert_allclose(ours.apply(p), theirs, atol=2e-4)
    assert log_loss(y, ours.apply(p)) <= log_loss(y, theirs) + 1e-6
    mirrored = fitted("platt", (y, p), positive=0)
    np.testing.assert_allclose(mirrored.apply(p), ours.apply(p), atol=1e-6)


def test_the_rising_curve_is_that_of_scikit_learn_between_its_ends():
    y, p = two_classes(400, 1)
    p[:40] = p[40]  # ties
    new = two_classes(300, 2)[1]
    peer = IsotonicRegression(out_of_bounds="clip").fit(log_odds(p)[:, 0], y)
    expected = np.clip(peer.predict(log_odds(new)[:, 0]), 1 / 402, 401 / 402)
    ours = fitted("isotonic", (y, p)).apply(new)
    # scikit-learn drops points inside a level, between which it interpolates alike
    np.testing.assert_allclose(ours[:, 1], expected, atol=1 / 402)
    assert np.median(np.abs(ours[:, 1] - expected)) < 1e-9


def test_temperature_and_clip_is_one_after_the_other():
    y, p = two_classes(600)
    cooled = fitted("temperature", (y, p)).apply(p)
    both = fitted("temperature-clip", (y, p))
    np.testing.assert_array_equal(both.apply(p), fitted("symmetric", (y, cooled)).apply(cooled))
    assert both.values.keys() == {"temperature", "lower", "upper"}


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda c: c.name)
def test_a_fitted_correction_scores_no_worse_on_its_own_images(correction: Correction):
    for y, p in (two_classes(300, 4), many_classes(300)):
        if correction.most_classes and p.shape[1] > correction.most_classes:
            continue
        corrected = correction.fit(y, p, None).apply(p)
        assert corrected.shape == p.shape and corrected.dtype == np.float64
        assert np.abs(corrected.sum(axis=1) - 1).max() < 1e-12
        assert log_loss(y, corrected) <= log_loss(y, p) + 1e-9


@settings(max_examples=40)
@given(tables())
def test_laws_of_temperature_and_clip(table: Table):
    y, p = table
    cooled = fitted("temperature", (y, p)).apply(p)
    top = p.argmax(axis=1)
    assert (cooled[np.arange(len(p)), top] >= cooled.max(axis=1) - 1e-12).all()
    clip = fitted("symmetric", (y, p))
    once = clip.apply(p)
    if p.shape[1] == 2:
        np.testing.assert_array_equal(clip.apply(once), once)


@given(tables(2))
def test_the_curve_never_falls_and_no_correction_ends_at_certainty(table: Table):
    y, p = table
    order = np.argsort(p[:, 1], kind="stable")
    curve = fitted("isotonic", (y, p)).apply(p)[order, 1]
    assert (np.diff(curve) >= -1e-12).all()
    assert curve.min() >= 1 / (len(y) + 2) - 1e-12
    line = fitted("platt", (y, p))
    assert np.isfinite([*line.values.values()]).all()
    assert np.isfinite(line.apply(p)).all()
