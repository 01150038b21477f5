from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.metrics import (
    accuracy,
    confusion_matrix,
    log_loss,
    loss_concentration,
    mean_interval,
    most_confused,
    per_sample_log_loss,
    precision_recall,
)
from tests.support.score_tables import table

MAXIMAL = -np.log(np.finfo(np.float64).eps)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n, n_classes = draw(st.integers(1, 40)), draw(st.integers(2, 5))
    weight = st.sampled_from([0.0, 1e-20, 1e-9, 0.25, 0.5, 1.0, 3.0])
    rows = st.lists(weight, min_size=n_classes, max_size=n_classes).filter(lambda row: sum(row) > 0)
    weights = np.array(draw(st.lists(rows, min_size=n, max_size=n)))
    labels = draw(st.lists(st.integers(0, n_classes - 1), min_size=n, max_size=n))
    return np.array(labels), weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_classes", [2, 3, 20])
def test_log_loss_accuracy_and_confusion_agree_with_scikit_learn(n_classes: int) -> None:
    y_true, probabilities = table(500, n_classes)
    labels = list(range(n_classes))
    y_pred = probabilities.argmax(axis=1)
    oracle = sklearn.metrics.log_loss(y_true, probabilities, labels=labels)
    assert log_loss(y_true, probabilities) == pytest.approx(oracle, rel=1e-12)
    assert accuracy(y_true, probabilities) == sklearn.metrics.accuracy_score(y_true, y_pred)
    matrix = confusion_matrix(y_true, y_pred, n_classes)
    assert matrix.dtype == np.int64
    assert (matrix == sklearn.metrics.confusion_matrix(y_true, y_pred, labels=labels)).all()
    precision, recall = precision_recall(matrix)
    kind = {"labels": labels, "average": None, "zero_division": np.nan}
    oracle_p = sklearn.metrics.precision_score(y_true, y_pred, **kind)
    oracle_r = sklearn.metrics.recall_score(y_true, y_pred, **kind)
    np.testing.assert_allclose(precision, oracle_p)
    np.testing.assert_allclose(recall, oracle_r)


def test_one_maximally_wrong_of_two_is_scored_in_float64_even_when_given_float32() -> None:
    y_true = np.array([0, 1])
    for dtype in (np.float64, np.float32):
        probabilities = np.array([[0, 1], [0, 1]], dtype=dtype)
        assert round(log_loss(y_true, probabilities), 2) == 18.02
    assert round(sklearn.metrics.log_loss(y_true, probabilities), 2) == 7.97


def test_per_sample_log_loss_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5], [0.9, 0.1], [0.0, 1.0], [0.0, 1.0]])
    losses = per_sample_log_loss(np.array([0, 1, 1, 0]), probabilities)
    np.testing.assert_allclose(losses, [np.log(2), np.log(10), 0, MAXIMAL], atol=1e-15)
    assert round(losses[3], 2) == 36.04


@given(tables())
def test_the_mean_of_per_sample_losses_is_the_log_loss_in_any_row_order(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    y_true, probabilities = drawn
    order = np.random.default_rng(1).permutation(len(y_true))
    losses = per_sample_log_loss(y_true, probabilities)
    assert (losses >= 0).all()
    assert losses.max() <= MAXIMAL
    assert losses.mean() == pytest.approx(log_loss(y_true, probabilities), rel=1e-12)
    shuffled = log_loss(y_true[order], probabilities[order])
    assert shuffled == pytest.approx(log_loss(y_true, probabilities), rel=1e-12)
    y_pred = probabilities.argmax(axis=1)
    matrix = confusion_matrix(y_true, y_pred, probabilities.shape[1])
    assert np.trace(matrix) / matrix.sum() == pytest.approx(accuracy(y_true, probabilities))


def test_a_label_that_is_no_class_is_named_and_never_read_as_the_last_column() -> None:
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5]])
    for label in (-1, 2):
        y_true = np.array([0, label])
        for metric in (log_loss, accuracy):
            with pytest.raises(ValueError, match=f"class {label} is not one of the 2"):
                metric(y_true, probabilities)
        with pytest.raises(ValueError, match=f"class {label} is not one of the 2"):
            confusion_matrix(y_true, np.array([0, 0]), 2)


def test_no_images_have_no_mean() -> None:
    nothing = np.empty(0, dtype=int), np.empty((0, 2))
    for metric in (log_loss, accuracy):
        with pytest.raises(ValueError, match="at least one image"):
            metric(*nothing)
    assert confusion_matrix(nothing[0], nothing[0], 2).tolist() == [[0, 0], [0, 0]]


def test_precision_and_recall_are_nan_where_undefined() -> None:
    precision, recall = precision_recall(np.array([[3, 0, 1], [0, 0, 2], [0, 0, 0]]))
    np.testing.assert_array_equal(precision, [1, np.nan, 0])
    np.testing.assert_array_equal(recall, [0.75, 0, np.nan])


def test_the_interval_of_hits_is_the_exact_binomial_one() -> None:
    for n, right in ((2000, 1971), (7, 3), (300_000, 299_990)):
        hits = np.arange(n) < right
        ends = scipy.stats.binom.ppf([0.025, 0.975], n, right / n) / n
        assert mean_interval(hits) == pytest.approx(tuple(ends), abs=1e-12)
    assert mean_interval(np.ones(30)) == (1.0, 1.0)


def test_the_interval_of_losses_agrees_with_scipy_and_repeats() -> None:
    losses = np.random.default_rng(0).gamma(0.1, 3, size=700)
    oracle = scipy.stats.bootstrap(
        (losses,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(9)
    ).confidence_interval
    low, high = mean_interval(losses)
    width = oracle.high - oracle.low
    assert low == pytest.approx(oracle.low, abs=0.06 * width)
    assert high == pytest.approx(oracle.high, abs=0.06 * width)
    assert mean_interval(losses) == (low, high)
    assert mean_interval(losses, seed=1) != (low, high)
    narrow = mean_interval(losses, confidence=0.5)
    assert low < narrow[0] < losses.mean() < narrow[1] < high


def test_the_normal_approximation_meets_the_bootstrap_at_the_border() -> None:
    losses = np.random.default_rng(0).gamma(0.1, 3, size=20_001)
    drawn, normal = mean_interval(losses[1:], n_resamples=1000), mean_interval(losses)
    width = drawn[1] - drawn[0]
    np.testing.assert_allclose(normal, drawn, atol=0.1 * width)
    lonely = np.zeros(30_000)
    lonely[0] = 36
    assert mean_interval(lonely)[0] == 0.0  # never below the smallest loss


@pytest.mark.parametrize("values", [[], [0.1, np.nan], [np.inf]])
def test_the_interval_of_nothing_or_of_nan_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_interval(np.array(values))
    with pytest.raises(ValueError, match="confidence 95"):
        mean_interval(np.array([0.1, 0.2]), confidence=95)


def test_loss_concentration_by_hand_and_thinned() -> None:
    counts, share = loss_concentration(np.array([1.0, 6.0, 0.0, 3.0]))
    assert counts.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(share, [0.6, 0.9, 1.0, 1.0])
    losses = np.random.default_rng(0).gamma(0.1, 3, size=50_000)
    counts, share = loss_concentration(losses)
    assert 300 < len(counts) <= 501
    assert (counts[0], counts[-1], share[-1]) == (1, 50_000, 1.0)
    worst = np.sort(losses)[::-1]
    for i in (0, 7, 100, len(counts) - 2):
        assert share[i] == pytest.approx(worst[: counts[i]].sum() / losses.sum())
    half = int(np.flatnonzero(np.cumsum(worst) >= losses.sum() / 2)[0]) + 1
    assert counts[np.searchsorted(share, 0.5)] == half
    assert loss_concentration(np.zeros(4))[1].tolist() == [0.25, 0.5, 0.75, 1.0]
    with pytest.raises(ValueError, match="finite"):
        loss_concentration(np.array([1.0, np.inf]))


def test_most_confused_orders_by_count_then_by_cell() -> None:
    matrix = np.array([[50, 2, 7], [7, 60, 0], [2, 9, 70]])
    expected = [(2, 1, 9), (0, 2, 7), (1, 0, 7), (0, 1, 2), (2, 0, 2)]
    assert most_confused(matrix) == expected
    assert most_confused(matrix, k=2) == expected[:2]
    assert np.diag(matrix).tolist() == [50, 60, 70]  # the caller's matrix stays as it was
    tied = np.add.outer(np.arange(40), np.arange(40)) % 3
    cells = [(t, p, int(tied[t, p])) for t in range(40) for p in range(40) if t != p and tied[t, p]]
    expected = sorted(cells, key=lambda cell: (-cell[2], cell[0], cell[1]))
    assert most_confused(tied, k=2000) == expected
