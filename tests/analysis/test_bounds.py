from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from engine.analysis.bounds import (
    best_independent,
    best_symmetric,
    bootstrap_best_symmetric,
    default_bounds,
    symmetric_curve,
)
from engine.analysis.clip_loss import clip_loss
from engine.analysis.clipping import clipped_log_loss
from engine.analysis.metrics import log_loss
from engine.errors import UserError
from tests.support.clip_tables import many_classes, tables, two_classes


def test_the_curve_is_the_clipped_loss_at_its_default_bounds() -> None:
    for y_true, probabilities in (two_classes(), many_classes()):
        k = probabilities.shape[1]
        bounds, losses = symmetric_curve(clip_loss(y_true, probabilities))
        assert 0.025 in bounds
        assert len(bounds) == 201
        assert bounds[0] == pytest.approx(2e-6 / k)
        assert 0.99 / k < bounds[-1] < 1 / k
        for i in (0, 60, 150, 200):
            expected = clipped_log_loss(y_true, probabilities, bounds[i], 1 - bounds[i])
            assert losses[i] == pytest.approx(expected, rel=1e-12)
    assert default_bounds(1000)[-1] < 1e-3


def test_a_curve_bound_of_half_or_more_is_refused() -> None:
    with pytest.raises(UserError, match="lower bound 0.7"):
        symmetric_curve(clip_loss(*two_classes(10)), np.array([0.1, 0.7]))


def test_a_band_needs_labelled_images() -> None:
    for k in (2, 3):
        with pytest.raises(ValueError, match="class -1"):
            bootstrap_best_symmetric(np.array([0, -1]), np.full((2, k), 1 / k))
        with pytest.raises(ValueError, match="at least one"):
            bootstrap_best_symmetric(np.empty(0, int), np.empty((0, k)))


@pytest.mark.parametrize("seed", range(4))
def test_the_best_bounds_of_two_classes_agree_with_brute_force(seed: int) -> None:
    y_true, probabilities = two_classes(400, seed)
    p, is_positive = probabilities[:, 1], y_true == 1
    prepared = clip_loss(y_true, probabilities)

    def cost(clipped: np.ndarray) -> np.ndarray:  # (bounds, n) → (bounds,)
        return -np.log(np.where(is_positive, clipped, 1 - clipped)).mean(axis=1)

    tried = np.geomspace(1e-7, 0.4999, 4000)[:, None]
    symmetric = cost(np.clip(p, tried, 1 - tried)).min()
    bound, loss = best_symmetric(prepared)
    assert 0 < bound < 0.5
    assert loss == pytest.approx(clipped_log_loss(y_true, probabilities, bound, 1 - bound))
    assert loss <= symmetric + 1e-7
    assert loss <= symmetric_curve(prepared)[1].min()

    # no image is touched by both bounds, so their savings add
    before = cost(p[None, :])[0]
    savings = [
        before - cost(np.maximum(p, tried)).min(),
        before - cost(np.minimum(p, 1 - tried)).min(),
    ]
    lower, upper, independent = best_independent(prepared)
    assert independent == pytest.approx(clipped_log_loss(y_true, probabilities, lower, upper))
    assert independent <= before - sum(savings) + 1e-7
    assert independent <= loss


def test_the_best_bounds_of_many_classes_agree_with_brute_force() -> None:
    y_true, probabilities = many_classes(300, 3)
    prepared = clip_loss(y_true, probabilities)
    bound, loss = best_symmetric(prepared)
    tried = np.geomspace(1e-5, 0.33, 300)
    brute = min(clipped_log_loss(y_true, probabilities, b, 1 - b) for b in tried)
    assert 0 < bound < 1 / 3
    assert loss <= brute + 1e-7
    lower, upper, independent = best_independent(prepared)
    grid = np.concatenate([[0], np.geomspace(1e-4, 0.3, 25)])
    pairs = [(low, 1 - gap) for low in grid for gap in np.concatenate([grid, [0.4, 0.5, 0.6]])]
    assert independent <= min(clipped_log_loss(y_true, probabilities, *pair) for pair in pairs)
    assert independent == pytest.approx(clipped_log_loss(y_true, probabilities, lower, upper))
    assert independent <= loss


@pytest.mark.parametrize("n_classes", [2, 3])
def test_where_no_clipping_is_best_the_bound_is_zero(n_classes: int) -> None:
    y_true = np.arange(30) % n_classes
    probabilities = np.full((30, n_classes), 1e-9 / (n_classes - 1))
    probabilities[np.arange(30), y_true] = 1 - 1e-9
    prepared = clip_loss(y_true, probabilities)
    before = log_loss(y_true, probabilities)
    assert best_symmetric(prepared) == (0.0, pytest.approx(before))
    assert best_independent(prepared) == (0.0, 1.0, pytest.approx(before))
    band = bootstrap_best_symmetric(y_true, probabilities, n_resamples=50)
    assert band.interval[0] == 0.0 and band.interval[1] > 0.01  # 30 images rule little out
    assert band.gain_interval == (0.0, 0.0)


@given(tables())
def test_best_bounds_are_never_worse_than_no_clipping(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    prepared = clip_loss(*drawn)
    bound, loss = best_symmetric(prepared)
    lower, upper, independent = best_independent(prepared)
    assert independent <= loss <= prepared.at(0, 1)
    assert 0 <= bound < 1 / drawn[1].shape[1]
    assert 0 <= lower < upper <= 1


def test_a_sampled_curve_says_so_and_its_reported_losses_stay_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y_true, probabilities = many_classes(4000, 5)
    whole = clip_loss(y_true, probabilities)
    assert whole.sampled_rows is None
    monkeypatch.setattr("engine.analysis.clip_loss._SAMPLED_VALUES", 10_000)
    sampled = clip_loss(y_true, probabilities)
    assert sampled.sampled_rows == 2000
    exact = clipped_log_loss(y_true, probabilities, 0.01, 0.95)
    assert sampled.at(0.01, 0.95) == exact
    bounds, estimated = symmetric_curve(sampled)
    before = log_loss(y_true, probabilities)
    assert sampled.estimate(np.zeros(1), np.ones(1))[0] == pytest.approx(before)
    assert not np.array_equal(estimated, whole.estimate(bounds, 1 - bounds))
    np.testing.assert_allclose(estimated, whole.estimate(bounds, 1 - bounds), atol=0.02)
    bound, loss = best_symmetric(sampled)
    assert loss == clipped_log_loss(y_true, probabilities, bound, 1 - bound)
    monkeypatch.setattr("engine.analysis.clip_loss._SAMPLED_VALUES", 500)
    band = bootstrap_best_symmetric(y_true, probabilities, n_resamples=500, seed=0)
    assert band.sampled_rows == 100
    middle, width = (band.lower + band.upper)[0] / 2, (band.upper - band.lower)[0]
    assert abs(middle - before) < 0.15 * width  # the sample alone lies further off


def test_bounds_that_only_help_the_sample_are_not_suggested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y_true, probabilities = np.zeros(60, dtype=int), np.tile([0.96, 0.04, 1e-9], (60, 1))
    probabilities[7] = [0.02, 0.95, 0.03]
    before = log_loss(y_true, probabilities)
    monkeypatch.setattr("engine.analysis.clip_loss._SAMPLED_VALUES", 9)
    misled = 0
    for seed in range(40):
        sampled = clip_loss(y_true, probabilities, seed=seed)
        misled += symmetric_curve(sampled)[1].min() < before - 1e-3
        assert best_symmetric(sampled) == (0.0, pytest.approx(before))
        assert best_independent(sampled) == (0.0, 1.0, pytest.approx(before))
    assert misled > 0


def test_the_gain_of_a_bound_that_hangs_on_one_image_may_be_a_loss() -> None:
    y_true, p = np.zeros(200, dtype=int), np.full(200, 1e-6)
    p[0] = 1 - 1e-6
    table = y_true, np.column_stack([1 - p, p])
    band = bootstrap_best_symmetric(*table)
    bound, loss = best_symmetric(clip_loss(*table))
    assert bound == pytest.approx(1 / 200, rel=0.01)
    assert band.interval[0] == 0.0
    low, high = band.gain_interval  # without the image, all others pay for the bound
    assert low == pytest.approx(np.log(1 - bound), rel=0.1)
    assert low < 0 < log_loss(*table) - loss < high


def resampled_rows(
    y_true: np.ndarray, probabilities: np.ndarray, bounds: np.ndarray, n_resamples: int
) -> np.ndarray:
    """Return curves (n_resamples, 1 + m) of rows drawn with replacement, the plain way."""
    true = probabilities[np.arange(len(y_true)), y_true][:, None]
    tried = np.concatenate([[0.0], bounds])
    clipped = np.clip(probabilities[:, :, None], tried, 1 - tried)  # (n, k, 1 + m)
    losses = -np.log(np.clip(true, tried, 1 - tried) / clipped.sum(axis=1))
    rng = np.random.default_rng(99)
    n = len(losses)
    return np.array([losses[rng.integers(n, size=n)].mean(axis=0) for _ in range(n_resamples)])


@pytest.mark.parametrize("table", [two_classes(800), many_classes(800, 3)])
def test_the_band_agrees_with_plain_resampling_of_rows(
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    band = bootstrap_best_symmetric(*table, n_resamples=1500, seed=1)
    curves = resampled_rows(*table, band.bounds, 1500)
    low, high = np.quantile(curves[:, 1:], [0.025, 0.975], axis=0)
    noise = 0.08 * (high - low)
    assert (np.abs(band.lower - low) < noise).all()
    assert (np.abs(band.upper - high) < noise).all()
    bound, _ = best_symmetric(clip_loss(*table))
    assert band.interval[0] <= bound <= band.interval[1]
    chosen = 1 + np.abs(band.bounds - bound).argmin()
    worse = np.quantile(curves - curves[:, [chosen]], 0.025, axis=0)
    tried = np.concatenate([[0.0], band.bounds])
    as_good = tried[worse <= 0]
    assert band.interval[0] == pytest.approx(as_good[0], rel=0.25)
    assert as_good[-1] * 0.85 <= band.interval[1] <= 1.5 * as_good[-1]  # an unseen error counts
    gain = np.quantile(curves[:, 0] - curves[:, chosen], [0.025, 0.975])
    np.testing.assert_allclose(band.gain_interval, gain, atol=0.1 * (gain[1] - gain[0]))
    assert band.sampled_rows is None


@pytest.mark.parametrize("table", [two_classes(300), many_classes(300, 3)])
def test_copies_of_images_leave_the_band_as_it_is(table: tuple[np.ndarray, np.ndarray]) -> None:
    once = bootstrap_best_symmetric(*table)
    groups = np.tile(np.arange(300), 5)
    y_true, probabilities = table[0][groups], table[1][groups]
    grouped = bootstrap_best_symmetric(y_true, probabilities, groups=groups)
    each = bootstrap_best_symmetric(y_true, probabilities)
    widths = [
        np.interp(np.log(1e-3), np.log(band.bounds), band.upper - band.lower)
        for band in (once, grouped, each)
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)
    assert widths[2] < 0.6 * widths[0]  # as if five times as many images were known
    assert grouped.interval[1] == pytest.approx(once.interval[1], rel=0.25)
    assert each.interval[1] < 0.85 * once.interval[1]


def test_the_band_repeats_and_follows_the_seed() -> None:
    table = two_classes(300)
    first, again, other = (
        bootstrap_best_symmetric(*table, n_resamples=50, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.lower, again.lower)
    assert not np.array_equal(first.lower, other.lower)
