"""Blend weights against a grid and SciPy, and what a blend can never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from engine.analysis.blending import blend, blend_weights, blended
from engine.analysis.joined import join
from engine.analysis.metrics import EPSILON, log_loss, loss_of
from engine.analysis.pools import LOG_ODDS, MEAN, Pool, log_odds_pool
from engine.runs.predictions import Predictions, make_predictions
from tests.benchmarks import statements
from tests.support.populations import populations

NAMES = ["a", "b", "c"]


def runs(n: int, n_runs: int, seed: int = 0, n_classes: int = 2) -> list[Predictions]:
    """Return runs that see the same signal through noise of their own."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    signal = rng.normal(0, 1, (n, n_classes))
    signal[np.arange(n), y] += 2
    ids = [f"{i:05}" for i in range(n)]
    tables = []
    for run in range(n_runs):
        logits = signal + rng.normal(0, 1 + 0.3 * run, (n, n_classes))
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        tables.append(make_predictions(ids, ids, y, p, [f"c{k}" for k in range(n_classes)]))
    return tables


def true_p(tables: list[Predictions]) -> np.ndarray:
    return np.column_stack([t.probabilities[np.arange(len(t)), t.y_true] for t in tables])


def test_no_weights_on_a_fine_grid_cost_less():
    p = true_p(runs(300, 3))
    weights = blend_weights(p)
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    steps = np.linspace(0, 1, 101)
    grid = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1 + 1e-12])
    costs = -np.log(p @ grid.T).mean(axis=0)
    assert loss_of(p @ weights).mean() <= costs.min()
    assert weights == pytest.approx(grid[costs.argmin()], abs=0.02)


def test_the_weights_are_scipys():
    p = true_p(runs(500, 5, seed=3))
    found = minimize(
        lambda w: -np.log(p @ w).mean(), np.full(5, 0.2), method="SLSQP", bounds=[(0, 1)] * 5,
        jac=lambda w: -(p / (p @ w)[:, None]).mean(axis=0), options={"ftol": 1e-14},
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )  # fmt: skip
    assert blend_weights(p) == pytest.approx(found.x, abs=1e-4)


@settings(max_examples=80)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 10_000), st.integers(1, 25))
def test_the_weights_are_optimal_and_never_worse_than_the_best_run(n, n_runs, seed, sharpness):
    p = np.random.default_rng(seed).random((n, n_runs)) ** sharpness
    weights = blend_weights(p)
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    inside = np.maximum(p, EPSILON)
    assert loss_of(inside @ weights).mean() <= loss_of(inside).mean(axis=0).min() + 1e-12
    # By convexity no weights can be better by more than the largest mean ratio is above 1.
    assert (inside / (inside @ weights)[:, None]).mean(axis=0).max() <= 1 + 1e-6


def test_a_run_that_is_wrong_for_sure_spoils_nothing():
    p = np.array([[0.9, 0.0], [0.8, 1.0], [0.7, 0.0], [0.6, 0.0]])
    assert loss_of(p @ blend_weights(p)).mean() <= loss_of(p[:, 0]).mean()


@pytest.mark.parametrize("copies", [2, 4])
def test_copies_of_a_run_blend_to_the_run(copies):
    table = runs(200, 1)[0]
    found = blend(join([table] * copies))
    loss = log_loss(table.y_true, table.probabilities)
    assert found.baseline == pytest.approx(loss) and found.kinds[MEAN] == pytest.approx(loss)
    assert found.weights == pytest.approx(np.full(copies, 1 / copies), abs=1e-3)


@settings(max_examples=20)
@given(st.permutations(range(3)), st.integers(2, 4))
def test_the_order_of_the_runs_does_not_matter(order, n_classes):
    tables = runs(200, 3, seed=5, n_classes=n_classes)
    there, back = blend(join(tables)), blend(join([tables[i] for i in order]))
    assert back.weights == pytest.approx(there.weights[list(order)], abs=2e-3)
    assert back.in_sample == pytest.approx(there.in_sample, abs=1e-7)


def test_runs_with_noise_of_their_own_are_better_together_and_the_gain_is_honest():
    tables = runs(2000, 3, seed=7)
    found = blend(join(tables))
    assert found.pays and found.gain[1] < found.gain[0] < found.gain[2]
    assert found.in_sample < found.cross_validated < found.singles[found.best]
    assert found.gain[0] == pytest.approx(found.baseline - found.cross_validated)
    assert found.baseline >= found.singles[found.best] - 1e-12  # chosen within each fold
    fresh = runs(2000, 3, seed=7 + 1)  # other images by the same law
    alone = log_loss(fresh[found.best].y_true, fresh[found.best].probabilities)
    together = blended(fresh, found.pool)
    gain = alone - log_loss(together.y_true, together.probabilities)
    assert gain == pytest.approx(found.gain[0], abs=0.03) and gain > 0


def test_the_blend_is_the_weighted_mean_row_by_row():
    tables = runs(50, 2, n_classes=4)
    found = blended(tables, Pool(MEAN, np.array([0.25, 0.75])))
    expected = np.average([t.probabilities for t in tables], axis=0, weights=[0.25, 0.75])
    assert found.probabilities == pytest.approx(expected, abs=1e-12)
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(50))
    assert found.ids.equals(tables[0].ids) and (found.y_true == tables[0].y_true).all()


def test_log_odds_are_pooled_as_a_logistic_regression_of_them_does():
    tables = runs(400, 3, seed=1)
    odds = np.column_stack([np.log(t.probabilities[:, 1] / t.probabilities[:, 0]) for t in tables])
    y = tables[0].y_true
    pool = log_odds_pool(tables)

    def loss(weights: np.ndarray) -> float:
        away = weights - 1 / 3
        return float(np.logaddexp(0, (1 - 2 * y) * (odds @ weights)).sum() + away @ away / 2)

    found = minimize(loss, np.full(3, 1 / 3), method="Nelder-Mead", options={"xatol": 1e-7})
    assert pool.weights / pool.temperature == pytest.approx(found.x, abs=1e-4)
    assert pool.weights.sum() == pytest.approx(1) and pool.weights.min() >= 0
    p = blended(tables, pool).probabilities[:, 1]
    assert p == pytest.approx(1 / (1 + np.exp(-odds @ found.x)), abs=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_independent_evidence_is_pooled_as_log_odds(n_classes):
    rng = np.random.default_rng(0)
    n = 1500
    y, ids = rng.integers(0, n_classes, n), [str(i) for i in range(n)]
    tables = []
    for _ in range(2):  # each run sees evidence of its own: log odds add up
        logits = rng.normal(size=(n, n_classes)) + 1.5 * np.eye(n_classes)[y] - 0.75
        p = np.exp(1.5 * logits) / np.exp(1.5 * logits).sum(axis=1, keepdims=True)
        tables.append(make_predictions(ids, ids, y, p, NAMES[:n_classes]))
    found = blend(join(tables))
    assert found.pool.kind == LOG_ODDS and found.kinds[LOG_ODDS] < found.kinds[MEAN]
    assert found.pool.temperature == pytest.approx(0.5, abs=0.15)


def test_copies_of_images_leave_the_interval_of_a_gain_as_it_is():
    tables, five = runs(300, 2, seed=4), np.repeat(np.arange(300), 5)
    copies = join([table.take(five) for table in tables])
    once, grouped, each = blend(join(tables)), blend(copies, groups=five), blend(copies)
    widths = [found.gain[2] - found.gain[1] for found in (once, grouped, each)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
    assert widths[2] < 0.6 * widths[0]  # as if five times as many images were known
    assert grouped.weight_ranges == pytest.approx(once.weight_ranges, abs=0.11)


@pytest.mark.parametrize("n_runs", [2, 3])
def test_weights_outside_the_range_are_worse_beyond_noise_and_those_inside_are_not(n_runs):
    tables = runs(1200, n_runs, seed=2)
    found = blend(join(tables))
    pool, ranges = found.pool, found.weight_ranges
    assert ((ranges[:, 0] <= found.weights) & (found.weights <= ranges[:, 1])).all()
    y, before = tables[0].y_true, log_loss(tables[0].y_true, pool.probabilities(tables))

    def worse(run: int, weight: float) -> float:
        """Return how many standard errors the loss is above that of the chosen weights."""
        others = np.delete(found.weights, run) / (1 - found.weights[run]) * (1 - weight)
        moved = Pool(pool.kind, np.insert(others, run, weight), pool.temperature)
        p, of = moved.probabilities(tables), pool.probabilities(tables)
        rise = loss_of(p[np.arange(1200), y]) - loss_of(of[np.arange(1200), y])
        assert rise.mean() == pytest.approx(log_loss(y, p) - before)
        return float(rise.mean() / rise.std() * 1200**0.5)

    for run, (low, high) in enumerate(ranges.tolist()):
        assert 0 < low and high < 1  # these runs are told apart
        assert max(worse(run, low + 0.01), worse(run, high - 0.01)) < 2.1
        assert min(worse(run, low - 0.05), worse(run, high + 0.05)) > 1.9


def test_few_images_do_not_tell_the_weights_of_a_blend():
    assert np.diff(blend(join(runs(20, 2))).weight_ranges).min() > 0.9


def test_the_interval_of_a_gain_includes_the_choice_and_unseen_errors():
    """The paired bootstrap's held it in four of ten of these sets."""
    share, n = statements.covered(statements.blends, populations(None)["Redux"](), 50, 8)
    assert n == 8 and share >= 7 / 8
