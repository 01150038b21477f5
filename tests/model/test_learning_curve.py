"""A learning curve continues as it went: of known curves, of drawn features, of real images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from engine.analysis.learning_curve import learning_curve
from engine.analysis.near_duplicates import assign_folds
from engine.model.features import Features
from engine.model.head import HeadOptions
from engine.model.learning_curve import LabelledFeatures, PartLosses, losses_by_share

SIZES = (50, 100, 200, 400)
PARTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
STRENGTH = 1.0


def drawn(n: int, seed: int) -> LabelledFeatures:
    """Return features of three classes that overlap."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    centres = np.random.default_rng(5).normal(size=(3, 24)) * 0.8
    values = torch.tensor(centres[y] + rng.normal(size=(n, 24)) * 1.2, dtype=torch.float32)
    sha256 = [f"{i:064x}" for i in range(n)]
    rows = {name: row for row, name in enumerate(sha256)}
    fold = assign_folds(y, np.arange(n), 5, seed)
    return LabelledFeatures(Features(values, rows), sha256, y, 3, fold, np.arange(n))


@pytest.fixture(scope="module")
def measured() -> list[PartLosses]:
    """Return the losses of heads on parts of four drawn sets."""
    return [
        losses_by_share(drawn(480, seed), HeadOptions(), STRENGTH, PARTS, seed) for seed in range(4)
    ]


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
def test_a_power_law_is_continued_to_twice_the_images(power):
    rng = np.random.default_rng(0)
    each = rng.normal(0, 0.3, 3000)
    means = 0.2 + 2.0 * np.array(SIZES, dtype=float) ** -power
    noise = rng.normal(0, 0.02, (4, 3000))
    found = learning_curve(SIZES, means[:, None] + each + noise, 500)
    true = 2.0 * (500**-power - 1000**-power)
    low, high = found.interval
    assert low < true < high and found.gain == pytest.approx(true, rel=0.15, abs=2e-4)


def test_its_interval_holds_the_true_gain_as_often_as_it_says():
    held = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        means = 0.1 + 1.5 * np.array(SIZES, dtype=float) ** -0.5
        losses = means[:, None] * rng.gamma(0.6, 1 / 0.6, (4, 300))
        losses = losses + rng.normal(0, 0.3 * means[:, None], (4, 300))
        low, high = learning_curve(SIZES, losses, 400).interval
        held.append(low <= 1.5 * (400**-0.5 - 800**-0.5) <= high)
    assert np.mean(held) >= 0.95


def test_images_that_help_no_more_are_within_noise():
    losses = np.random.default_rng(1).gamma(0.5, 0.6, (4, 400))
    low, high = learning_curve(SIZES, losses, 400).interval
    assert low < 0 < high


def test_the_truth_at_all_images_is_as_half_of_them_predict(measured):
    """The measured truth has noise of its own, by the same images' losses."""
    for found in measured:
        half = learning_curve(found.sizes[:4], found.losses[:4], found.sizes[3])
        change = found.losses[3] - found.losses[4]
        noise = 1.96 * 1.5 * change.std(ddof=1) / len(change) ** 0.5
        allowed = np.hypot((half.interval[1] - half.interval[0]) / 2, noise)
        assert abs(half.gain - change.mean()) <= allowed
        assert change.mean() / 3 < half.gain < 3 * change.mean()


def test_heads_on_parts_are_those_of_scikit_learn(measured):
    data, found = drawn(480, 0), measured[0]
    x = data.features.values.numpy()
    scale = np.sqrt(x.var(axis=0).mean())
    held = data.fold == 0
    model = LogisticRegression(C=1 / (STRENGTH * 24), tol=1e-8, max_iter=5000)
    model.fit(x[~held] / scale, data.labels[~held])
    theirs = log_loss(data.labels[held], model.predict_proba(x[held] / scale))
    assert found.losses[-1, held].mean() == pytest.approx(theirs, rel=1e-3)
    assert found.sizes == (24, 48, 96, 192, 384)


def test_where_heads_take_long_fewer_folds_are_scored(monkeypatch):
    monkeypatch.setattr("engine.model.learning_curve._WORK", 1)
    data = drawn(120, 0)
    losses = losses_by_share(data, HeadOptions(), STRENGTH).losses
    assert np.array_equal(~np.isnan(losses[0]), data.fold == 0)
