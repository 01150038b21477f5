from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.clip_loss import clip_loss
from engine.analysis.clipping import (
    check_bounds,
    clip_probabilities,
    clipped_log_loss,
    confident_error_cost,
    touched,
)
from engine.analysis.metrics import log_loss
from engine.errors import UserError
from tests.support.clip_tables import P, tables, two_classes

BOUNDS = st.tuples(P, P).filter(lambda pair: pair[0] != pair[1]).map(sorted)


def test_two_classes_are_clipped_by_hand() -> None:
    probabilities = np.array([[1.0, 0.0], [0.7, 0.3], [0.01, 0.99]])
    clipped = clip_probabilities(probabilities, 0.1, 0.8)
    np.testing.assert_allclose(clipped, [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    of_first = clip_probabilities(probabilities, 0.1, 0.8, positive=0)
    np.testing.assert_allclose(of_first, [[0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    assert touched(probabilities, 0.1, 0.8) == (1, 1)
    assert touched(probabilities, 0.02, 0.8, positive=0) == (1, 1)
    assert touched(probabilities, 0.3, 0.99) == (1, 0)  # strictly
    assert probabilities[0].tolist() == [1.0, 0.0]  # the caller's table stays as it was
    with pytest.raises(ValueError, match="class 2"):
        clip_probabilities(probabilities, 0.1, 0.8, positive=2)


def test_many_classes_are_clipped_by_hand() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0], [0.5, 0.3, 0.2]])
    clipped = clip_probabilities(probabilities, 0.1, 0.8)
    np.testing.assert_allclose(clipped, [[0.8, 0.1, 0.1], [0.5, 0.3, 0.2]])
    clipped = clip_probabilities(probabilities, 0.25, 0.5)
    np.testing.assert_allclose(clipped, [[0.5, 0.25, 0.25], [10 / 21, 6 / 21, 5 / 21]])
    assert touched(probabilities, 0.25, 0.5) == (2, 1)
    assert touched(probabilities, 0.1, 0.4) == (1, 2)


@given(tables(2), BOUNDS, st.sampled_from([None, 0, 1]))
def test_clipping_two_classes_is_idempotent_and_within_bounds(
    drawn: tuple[np.ndarray, np.ndarray], bounds: list[float], positive: int | None
) -> None:
    lower, upper = bounds
    once = clip_probabilities(drawn[1], lower, upper, positive)
    p = once[:, 1 if positive is None else positive]
    assert ((p >= lower) & (p <= upper)).all()
    np.testing.assert_allclose(once.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(clip_probabilities(once, lower, upper, positive), once)
    assert touched(once, lower, upper, positive) == (0, 0)


@given(tables(), BOUNDS)
def test_the_prepared_loss_is_that_of_the_clipped_table_in_any_row_order(
    drawn: tuple[np.ndarray, np.ndarray], bounds: list[float]
) -> None:
    y_true, probabilities = drawn
    k = probabilities.shape[1]
    clipped = clip_probabilities(probabilities, *bounds)
    oracle = sklearn.metrics.log_loss(y_true, clipped, labels=list(range(k)))
    assert clipped_log_loss(y_true, probabilities, *bounds) == pytest.approx(oracle, abs=1e-12)
    order = np.random.default_rng(0).permutation(len(y_true))
    prepared = clip_loss(y_true[order], probabilities[order])
    assert prepared.at(*bounds) == pytest.approx(oracle, rel=1e-9, abs=1e-9)
    lower, upper = np.array(bounds)[:, None]
    assert prepared.estimate(lower, upper)[0] == pytest.approx(oracle, rel=1e-9, abs=1e-9)
    if k == 2:  # no image costs less than certainty at the bound, nor more than a wrong one
        cheapest = min(-np.log(max(upper[0], 1e-300)), -np.log(max(1 - lower[0], 1e-300)))
        assert min(cheapest, 36) - 1e-9 <= oracle
        assert oracle <= confident_error_cost(*bounds, 1) + 1e-9


@given(tables())
def test_no_clipping_costs_the_log_loss(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    before = log_loss(*drawn)
    assert clipped_log_loss(*drawn, 0, 1) == pytest.approx(before, rel=1e-12)
    assert clip_loss(*drawn).at(0, 1) == pytest.approx(before, rel=1e-12)


def test_positive_turns_the_bounds_round() -> None:
    y_true, probabilities = two_classes()
    swapped = clipped_log_loss(y_true, probabilities, 0.1, 0.7, positive=0)
    assert swapped == pytest.approx(clipped_log_loss(y_true, probabilities, 0.3, 0.9))
    prepared = clip_loss(y_true, probabilities, positive=0)
    assert prepared.at(0.1, 0.7) == pytest.approx(swapped)


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        (-0.1, 0.9, "lower=-0.1 "),
        (0.1, 1.5, "upper=1.5 "),
        (float("nan"), 0.9, "lower=nan "),
        (0.6, 0.4, "lower bound 0.6 must be smaller than the upper 0.4"),
        (0.5, 0.5, "lower bound 0.5 must be smaller than the upper 0.5"),
    ],
)
def test_bounds_that_are_none_are_refused_by_name(lower: float, upper: float, message: str) -> None:
    y_true, probabilities = two_classes(10)
    for call in (
        lambda: check_bounds(lower, upper),
        lambda: clip_probabilities(probabilities, lower, upper),
        lambda: clipped_log_loss(y_true, probabilities, lower, upper),
        lambda: clip_loss(y_true, probabilities).at(lower, upper),
        lambda: touched(probabilities, lower, upper),
        lambda: confident_error_cost(lower, upper, 10),
    ):
        with pytest.raises(UserError, match=message):
            call()


def test_unknown_labels_and_empty_tables_are_no_validation_set() -> None:
    for k in (2, 3):
        table = np.full((2, k), 1 / k)
        for call in (clip_loss, lambda *t: clipped_log_loss(*t, 0.1, 0.9)):
            with pytest.raises(ValueError, match="class -1"):
                call(np.array([0, -1]), table)
            with pytest.raises(ValueError, match="at least one"):
                call(np.empty(0, int), np.empty((0, k)))


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_wrong_cost_is_what_one_certain_and_wrong_image_costs(n_classes: int) -> None:
    for lower, upper in ((0.025, 0.975), (0.001, 0.9), (0.05, 0.999), (0, 1)):
        certain = np.eye(n_classes)
        worst = max(
            clipped_log_loss(np.array([true]), certain[[predicted]], lower, upper)
            for true, predicted in ((0, 1), (1, 0))
        )
        assert confident_error_cost(lower, upper, 500, n_classes) == pytest.approx(worst / 500)
    assert round(confident_error_cost(0.025, 0.975, 1), 4) == 3.6889
    with pytest.raises(ValueError, match="n 0"):
        confident_error_cost(0.025, 0.975, 0)
