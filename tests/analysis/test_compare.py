"""Comparing two runs: counts by hand, p-values by SciPy, kappa by scikit-learn, and laws."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, chi2
from sklearn.metrics import cohen_kappa_score

from engine.analysis.compare import cohen_kappa, compare
from engine.analysis.joined import join
from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.paired import accuracy_difference, mcnemar
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN, Predictions, make_predictions

NAMES = ("cat", "dog")


def made(p_dog: dict[str, float], labels: dict[str, int]) -> Predictions:
    p = np.array(list(p_dog.values()))
    y = np.array([labels.get(id, UNKNOWN) for id in p_dog])
    return make_predictions(list(p_dog), list(p_dog), y, np.column_stack([1 - p, p]), NAMES)


def drawn(n: int, seed: int, *, n_classes: int = 2, noise: float = 1.0) -> Predictions:
    """Return predictions of the same images and labels for every seed."""
    y = np.random.default_rng(1).integers(0, n_classes, n)
    logits = np.random.default_rng(seed).normal(0, noise, (n, n_classes))
    logits[np.arange(n), y] += 1.5
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = [f"{i:05}" for i in range(n)]
    return make_predictions(ids, ids, y, p, [f"c{k}" for k in range(n_classes)])


LABELS = {"a": 0, "b": 1, "c": 1, "d": 0, "e": 1, "f": 0}
FIRST = {"a": 0.2, "b": 0.4, "c": 0.1, "d": 0.3, "e": 0.9, "f": 0.8, "x": 0.5}
SECOND = {"f": 0.9, "e": 0.4, "d": 0.1, "c": 0.7, "b": 0.8, "a": 0.1, "y": 0.5}


def test_an_id_that_stands_for_another_image_is_left_out():
    tables = made(SECOND, LABELS), made(FIRST, LABELS)
    contents = [np.array([id * 3 for id in table.ids.to_pylist()], object) for table in tables]
    assert compare(*tables, contents=contents).n == 6
    contents[1][:2], contents[0][2] = "other", ""  # of a and b; the run does not know c's
    found = compare(*tables, contents=contents)
    assert found.n == 4 and found.tables[0].ids.to_pylist() == ["c", "d", "e", "f"]
    assert found.left_out == {
        "not predicted by every run": 2,
        "other images under the same id": 2,
    }


def test_a_table_worked_by_hand():
    found = compare(made(SECOND, LABELS), made(FIRST, LABELS))
    assert found.n == 6
    assert found.left_out == {"not predicted by every run": 2}
    ids = found.tables[0].ids
    assert ids.take(found.fixed).to_pylist() == ["c", "b"]  # the other pays most for c
    assert ids.take(found.broken).to_pylist() == ["e"]
    assert ids.take(found.both_right).to_pylist() == ["a", "d"]
    assert ids.take(found.both_wrong).to_pylist() == ["f"]
    assert found.accuracy == (4 / 6, 3 / 6)
    first = -np.log([0.8, 0.4, 0.1, 0.7, 0.9, 0.2]).mean()
    second = -np.log([0.9, 0.8, 0.7, 0.9, 0.4, 0.1]).mean()
    assert found.log_loss == pytest.approx((second, first))
    assert found.log_loss_difference[0] == pytest.approx(second - first)
    assert found.agreement == 3 / 6
    assert found.better is None and found.verdict.startswith(
        "No clear difference: the run is ahead"
    )


def test_what_cannot_be_compared_is_counted_by_reason():
    first = made({"a": 0.2, "b": 0.4, "c": 0.4, "x": 0.1}, {"a": 0, "b": 1})
    second = made({"a": 0.2, "b": 0.4, "c": 0.4, "y": 0.1, "z": 0.2}, {"a": 0, "b": 0})
    joined = join([first, second])
    assert joined.tables[0].ids.to_pylist() == joined.tables[1].ids.to_pylist() == ["a"]
    assert joined.left_out == {
        "not predicted by every run": 3, "labelled differently": 1, "without a label": 1,
    }  # fmt: skip


def test_runs_that_cannot_be_compared_are_refused():
    other = make_predictions(["a"], ["a"], np.array([0]), np.array([[0.5, 0.5]]), ("cat", "fox"))
    with pytest.raises(UserError, match="different classes.*'dog'.*'fox'"):
        join([made(FIRST, LABELS), other])
    with pytest.raises(UserError, match="no labelled image"):
        join([made({"a": 0.5}, LABELS), made({"b": 0.5}, LABELS)])
    empty = made({}, LABELS)
    with pytest.raises(UserError, match="no labelled image"):
        join([made({"a": 0.5}, LABELS), empty])


def test_a_clear_winner_is_named_with_its_interval():
    good, bad = drawn(400, 2, noise=0.5), drawn(400, 3, noise=3.0)
    found = compare(good, bad, names=("good", "bad"))
    back = compare(bad, good, names=("bad", "good"))
    assert found.better == 0 and compare(bad, good).better == 1
    assert found.verdict.startswith("good is better than bad: its log loss is lower by ")
    assert back.verdict.startswith("good is better than bad: its log loss is lower by ")
    value = found.as_json()
    assert value["better"] == "good"
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    hits = [t.y_pred == t.y_true for t in (bad, good)]
    assert len(value["fixed"]) == (~hits[0] & hits[1]).sum()
    costs = per_sample_log_loss(bad.y_true, bad.probabilities)[found.fixed]
    assert (np.diff(costs) <= 0).all()


def test_a_run_against_itself_is_a_toss_up_without_difference():
    run = drawn(50, 2)
    found = compare(run, run)
    assert found.log_loss_difference == (0, 0, 0) and found.accuracy_difference == (0, 0, 0)
    assert (found.agreement, found.kappa, found.mcnemar_p) == (1, 1, 1)
    assert "same log loss" in found.verdict


@settings(max_examples=25)
@given(st.integers(2, 60), st.integers(0, 10_000), st.integers(2, 4))
@example(8, 8, 2)  # one of the two is never the worse one
def test_turned_round_every_difference_changes_its_sign_alone(n, seed, n_classes):
    a, b = drawn(n, seed, n_classes=n_classes), drawn(n, seed + 1, n_classes=n_classes)
    there, back = compare(a, b), compare(b, a)
    for key in ("log_loss_difference", "accuracy_difference"):
        value, low, high = getattr(there, key)
        assert getattr(back, key) == pytest.approx((-value, -high, -low), abs=1e-12)
        assert low <= value + 1e-12 and value <= high + 1e-12
    assert (set(there.fixed), set(there.broken)) == (set(back.broken), set(back.fixed))
    assert there.mcnemar_p == back.mcnemar_p
    parts = (there.both_right, there.fixed, there.broken, there.both_wrong)
    assert sorted(np.concatenate(parts)) == list(range(n))
    gained = (len(there.fixed) - len(there.broken)) / n
    assert there.accuracy_difference[0] == pytest.approx(gained)


@pytest.mark.parametrize("fixed", [0, 1, 5, 12, 13, 40, 300])
@pytest.mark.parametrize("broken", [0, 3, 12, 55])
def test_mcnemar_is_scipys(fixed, broken):
    p, exact = mcnemar(fixed, broken)
    n = fixed + broken
    assert exact
    half = binom.pmf(fixed, n, 0.5) if fixed != broken else 0  # both tails meet in the middle
    assert p == pytest.approx(binomtest(fixed, n, 0.5).pvalue - half if n else 1.0, rel=1e-9)
    large, exact = mcnemar(10 * fixed + 700, 10 * broken + 650)
    chi_square = (10 * (fixed - broken) + 50) ** 2 / (10 * n + 1350)
    assert not exact and large == pytest.approx(chi2.sf(chi_square, 1), rel=1e-9)


def test_the_more_confident_of_two_equal_models_is_not_called_better():
    """Both err alike; the sharp one has the lower loss wherever few errors were seen."""
    rng = np.random.default_rng(0)
    better = 0
    for _ in range(30):
        y = rng.integers(0, 2, 60)
        z = np.where(rng.random(60) < 0.012, -1, 1) * np.where(y == 1, 1, -1) * 4.0
        calm, sharp = (
            make_predictions([f"{i:02}" for i in range(60)], [""] * 60, y,
                             np.column_stack([1 / (1 + np.exp(f * z)), 1 / (1 + np.exp(-f * z))]),
                             NAMES)
            for f in (1, 2)
        )  # fmt: skip
        better += compare(sharp, calm).better is not None
    assert better == 0


def test_the_interval_of_an_accuracy_difference_is_agresti_and_mins():
    a, b = np.arange(100) >= 4, np.arange(100) < 97
    difference, low, high = accuracy_difference(a, b)
    assert difference == pytest.approx(-0.01)
    centre, error = -1 / 102, 1.959964 * np.sqrt(8 - 1 / 102) / 102
    assert (low, high) == pytest.approx((centre - error, centre + error))


def test_copies_of_an_image_count_once():
    once = drawn(80, 5), drawn(80, 6)
    copies = [
        make_predictions([f"{k:03}" for k in range(400)], [""] * 400, np.repeat(table.y_true, 5),
                         np.repeat(table.probabilities, 5, axis=0), NAMES)
        for table in once
    ]  # fmt: skip
    found = compare(*copies, groups=np.repeat(np.arange(80), 5))
    expected = compare(*once)
    assert found.n_groups == 80 and "400 images in 80 groups" in found.verdict
    np.testing.assert_allclose(found.log_loss_difference, expected.log_loss_difference)
    np.testing.assert_allclose(found.accuracy_difference, expected.accuracy_difference, atol=2e-3)
    assert found.mcnemar_p == pytest.approx(expected.mcnemar_p, abs=0.05)
    assert abs(compare(*copies).accuracy_difference[1]) < abs(found.accuracy_difference[1])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=50))
def test_kappa_is_scikit_learns(pairs):
    a, b = np.array(pairs).T
    found = cohen_kappa(a, b, 4)
    if len({*a.tolist(), *b.tolist()}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)
