"""A worse test set costs what turning right images into errors costs on average."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from engine.analysis.bounds import best_independent, best_symmetric
from engine.analysis.clipping import clip_probabilities
from engine.analysis.estimated_drop import estimated_drop
from engine.analysis.shift import shifted_loss
from tests.support.clip_tables import many_classes, tables, two_classes

Table = tuple[np.ndarray, np.ndarray]


def unseen_error_loss(table: Table, points: float, lower: float, upper: float) -> float:
    """Return the mean over test sets in which one right image after the other is turned."""
    y, p = table
    clipped = clip_probabilities(p, lower, upper)
    labels = list(range(p.shape[1]))
    base = log_loss(y, clipped, labels=labels)
    right = np.flatnonzero(p.argmax(axis=1) == y)
    changes = []
    for row in right:
        other = y.copy()
        other[row] = np.argsort(p[row])[-2]
        changes.append(log_loss(other, clipped, labels=labels) - base)
    return float(base + points / 100 * len(y) * np.mean(changes))


@pytest.mark.parametrize("table", [two_classes(80), many_classes(60)])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.01, 0.99), (0.05, 0.9)])
def test_it_is_the_mean_over_every_image_that_may_turn(table, bounds):
    loss = shifted_loss(*table, 2.5)
    assert loss.at(*bounds) == pytest.approx(unseen_error_loss(table, 2.5, *bounds), rel=1e-9)
    ends = np.array([bounds[0]]), np.array([bounds[1]])
    assert loss.estimate(*ends)[0] == pytest.approx(loss.at(*bounds))


@pytest.mark.parametrize("points", [0.0, 0.5, 3.0])
def test_the_best_bounds_are_those_of_a_fine_search(points):
    loss = shifted_loss(*two_classes(400, 2), points)
    tried = np.geomspace(1e-6, 0.4999, 5000)
    searched = loss.estimate(tried, 1 - tried)
    bound, expected = best_symmetric(loss)
    assert expected == pytest.approx(searched.min(), abs=1e-7)
    assert bound == pytest.approx(tried[searched.argmin()], rel=0.01)
    assert best_independent(loss)[2] <= expected


def test_where_all_are_sure_the_best_bound_is_the_share_of_errors():
    y = np.zeros(1000, dtype=int)
    p = np.full(1000, 1e-7)
    p[:10] = 1 - 1e-7  # 1 % errors, and 2 points more
    bound, _ = best_symmetric(shifted_loss(y, np.column_stack([1 - p, p]), 2.0))
    assert bound == pytest.approx(0.03, rel=1e-3)


def test_the_published_gap_is_about_half_a_point():
    y = np.zeros(2000, dtype=int)
    p = np.where(np.arange(2000) < 4, 0.995, 0.005)
    table = y, np.column_stack([1 - p, p])
    at = shifted_loss(*table, 0.0)
    score = at.at(0.005, 0.995) + 0.0414 - 0.0119
    learned = estimated_drop(*table, at, [(0.005, 0.995, score)], 12_500)
    assert learned is not None and learned.points == pytest.approx(0.56, abs=0.01)
    low, high = learned.interval
    assert 0 < low < 0.56 < high < 1 and not learned.contradictory
    assert "0.56 points (95 % interval" in learned.sentence


@given(tables(), st.floats(0, 5), st.floats(0.001, 0.2))
def test_points_are_learned_back_from_the_score_that_they_give(table, points, bound):
    y, p = table
    if not (p.argmax(axis=1) == y).any():
        with pytest.raises(ValueError, match="no image is predicted correctly"):
            shifted_loss(y, p, points)
        return
    loss = shifted_loss(y, p, min(points, 100 * np.mean(p.argmax(axis=1) == y)))
    bounds = (bound, 1 - bound)
    if loss.per_point(*bounds) > 1e-6:
        found = estimated_drop(y, p, loss, [(*bounds, loss.at(*bounds))], 0)
        assert found is not None and found.points == pytest.approx(loss.points, abs=1e-5)
        assert found.interval[0] <= loss.points + 1e-5 and loss.points <= found.interval[1] + 1e-5


def test_scores_that_say_nothing_teach_nothing():
    table = two_classes(100)
    loss = shifted_loss(*table, 0.0)
    known, slope = loss.at(0.01, 0.99), loss.per_point(0.01, 0.99)
    assert estimated_drop(*table, loss, [], 50) is None
    assert estimated_drop(*table, loss, [(0.01, 0.99, float("nan"))], 50) is None
    below = estimated_drop(*table, loss, [(0.01, 0.99, known - 0.1)], 50)
    assert below is not None and below.points == below.interval[0] == 0.0
    assert "cannot distinguish it from no drop" in below.sentence
    scores = [(0.01, 0.99, known + x * slope) for x in (0.2, 0.4, 9.0)]
    several = estimated_drop(*table, loss, scores, 50)
    assert several is not None and several.points == pytest.approx(0.4)


def test_copies_of_images_leave_the_interval_of_a_drop_as_it_is():
    y, p = two_classes(200)
    five = np.repeat(np.arange(200), 5)
    loss = shifted_loss(y, p, 1.0)
    scores, widths = [(0.01, 0.99, loss.at(0.01, 0.99))], []
    for table, groups, n_test in (((y, p), None, 200), ((y[five], p[five]), five, 1000)):
        found = estimated_drop(*table, loss, scores, n_test, groups=groups)
        assert found is not None
        widths.append(found.interval)
    assert widths[1] == pytest.approx(widths[0])


def test_scores_at_two_bounds_that_no_drop_explains_contradict():
    table = two_classes(400)
    loss = shifted_loss(*table, 0.0)
    agreeing = [
        (b, 1 - b, loss.at(b, 1 - b) + 0.5 * loss.per_point(b, 1 - b)) for b in (0.001, 0.1)
    ]
    found = estimated_drop(*table, loss, agreeing, 400)
    assert found is not None and not found.contradictory
    apart = [agreeing[0], (*agreeing[1][:2], agreeing[1][2] + 0.5)]
    found = estimated_drop(*table, loss, apart, 400)
    assert found is not None and found.contradictory and "more than noise" in found.sentence


def test_impossible_points_are_refused():
    y, p = two_classes(100)
    for points in (-0.1, 100.0, float("nan")):
        with pytest.raises(ValueError, match="must lie between 0 and"):
            shifted_loss(y, p, points)


def test_its_summary_names_what_each_choice_costs():
    table = two_classes(500, 6)
    loss = shifted_loss(*table, 1.0)
    said = loss.summary((0.025, 0.975))
    best = said["best_symmetric"]
    assert said["raw"] == loss.at(0, 1) and said["at_chosen"] == loss.at(0.025, 0.975)
    assert best["log_loss"] == loss.at(best["lower"], best["upper"]) <= said["at_chosen"]
    plain = log_loss(table[0], clip_probabilities(table[1], best["lower"], best["upper"]))
    assert best["cost_if_not_worse"] == pytest.approx(plain - log_loss(*table))
