"""Intervals are those of SciPy or of a plain formula, and cover what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from engine.analysis.intervals import (
    effective_counts,
    group_values,
    loss_interval,
    proportion_interval,
    unseen_error_loss,
)
from engine.analysis.metrics import per_sample_log_loss
from tests.benchmarks import coverage
from tests.support.clip_tables import many_classes, two_classes
from tests.support.populations import populations


@pytest.mark.parametrize(
    ("hits", "n"),
    [(0, 1), (1, 1), (0, 50), (3, 50), (49, 50), (985, 1000), (500, 1000), (4000, 9000)],
)
def test_a_proportion_has_the_interval_of_scipy(hits, n):
    theirs = binomtest(hits, n).proportion_ci(method="exact")
    assert proportion_interval(hits, n) == pytest.approx(tuple(theirs), abs=1e-12)


def test_what_is_no_proportion_is_refused():
    for hits, n in ((0, 0), (2, 1), (-1, 5)):
        with pytest.raises(ValueError, match="not a proportion"):
            proportion_interval(hits, n)


def test_the_interval_of_a_loss_is_that_of_the_formula():
    losses = np.random.default_rng(0).exponential(0.1, 300)
    low, high = loss_interval(losses, 6.0)
    more = np.append(losses, 6.0)
    assert high == pytest.approx(more.mean() + 1.959964 * more.std(ddof=1) / 301**0.5)
    error = losses.std(ddof=1) / 300**0.5
    assert low == pytest.approx(losses.mean() * np.exp(-1.959964 * error / losses.mean()))
    assert loss_interval(np.zeros(10), 3.0)[0] == 0.0
    assert loss_interval(np.array([0.2]), 3.0) == (0.0, pytest.approx(4.34, abs=0.01))
    for bad in ([], [np.nan]):
        with pytest.raises(ValueError, match="finite"):
            loss_interval(np.array(bad), 1.0)


@pytest.mark.parametrize("table", [two_classes(400), many_classes(300, 10)])
def test_an_error_not_yet_seen_costs_what_a_turned_label_would(table):
    y, p = table
    costs = []
    for label, row in zip(y.tolist(), p, strict=True):
        if row.argmax() == label:
            second = sorted(row.tolist())[-2]
            costs.append(-np.log(max(second, np.finfo(float).eps)))
    assert unseen_error_loss(y, p) == pytest.approx(np.mean(costs))
    wrong = p.argmax(axis=1) != y
    only = per_sample_log_loss(y[wrong], p[wrong])
    assert unseen_error_loss(y[wrong], p[wrong]) == pytest.approx(only.max())


def test_copies_of_an_image_count_once():
    losses = np.random.default_rng(1).exponential(0.2, 80)
    copies, groups = np.repeat(losses, 5), np.repeat(np.arange(80), 5)
    assert loss_interval(copies, 4.0, groups) == pytest.approx(loss_interval(losses, 4.0))
    order = np.random.default_rng(2).permutation(400)
    assert loss_interval(copies[order], 4.0, groups[order]) == pytest.approx(
        loss_interval(losses, 4.0)
    )
    hits = np.arange(80) >= 3
    assert effective_counts(np.repeat(hits, 5), groups) == (77, 80)
    assert effective_counts(np.ones(400, bool), groups) == (80, 80)
    assert effective_counts(hits, None) == (77, 80)
    alone = effective_counts(np.random.default_rng(3).random(400) < 0.9, groups)
    assert 300 < alone[1] <= 400  # images of a group that are not alike


def test_groups_of_any_size_keep_the_mean():
    rng = np.random.default_rng(4)
    values, groups = rng.random(100), rng.integers(0, 13, 100)
    assert group_values(values, groups).mean() == pytest.approx(values.mean())


@pytest.mark.parametrize("name", populations(None))
def test_intervals_cover_what_they_say(name):
    population = populations(None)[name]()
    hits = population.p.argmax(axis=1) == population.y
    for n in (50, 370):
        for truth, interval in (
            (hits.mean(), coverage.accuracy_now),
            (population.losses.mean(), coverage.loss_now),
        ):
            found = coverage.coverage(population, float(truth), interval, n, draws=150)
            assert found.share >= 0.93
