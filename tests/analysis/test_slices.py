"""Slices: bins, figures and corrections, against SciPy, brute force and planted faults."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, false_discovery_control

from engine.analysis.grouped import bin_pvalues
from engine.analysis.intervals import loss_interval, unseen_error_loss
from engine.analysis.slice_text import cut_words, described
from engine.analysis.slices import cuts, slices
from engine.analysis.stats import adjusted_pvalues, permutation_pvalue
from engine.errors import UserError
from engine.runs.predictions import UNKNOWN, Predictions, make_predictions


def predicted(wrong: np.ndarray, seed: int = 0, sure: float = 0.95) -> Predictions:
    """Return predictions of two classes that are wrong where they are told to be."""
    n = len(wrong)
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    right = np.clip(sure + rng.normal(0, 0.02, n), 0.8, 0.999)
    p_true = np.where(wrong, 1 - right, right)
    p = np.where(y[:, None] == np.arange(2), p_true[:, None], 1 - p_true[:, None])
    ids = [f"{i:06}" for i in range(n)]
    return make_predictions(ids, ids, y, p, ("cat", "dog"))


@pytest.mark.parametrize("m", [0, 1, 2, 7, 500])
def test_p_values_are_adjusted_as_by_scipy(m):
    rng = np.random.default_rng(m)
    for p in (rng.random(m), rng.random(m) ** 6, np.round(rng.random(m), 1)):
        assert np.allclose(adjusted_pvalues(p), false_discovery_control(p), rtol=1e-14, atol=0)


def test_fifths_hold_every_image_once_and_equal_values_stay_together():
    rng = np.random.default_rng(0)
    values = rng.choice([0.1, 0.2, 0.5, 0.9], 300, p=[0.5, 0.2, 0.2, 0.1])
    smooth = np.concatenate([rng.normal(size=299), [np.nan]])
    by_hand, fifths = cuts(pd.DataFrame({"values": values, "smooth": smooth}))
    assert len({(v, b) for v, b in zip(values, by_hand.bin_of, strict=True)}) == len({*values})
    assert 1 < by_hand.n_bins <= 4
    assert fifths.bin_of[-1] == -1
    sizes = np.bincount(fifths.bin_of[:-1])
    assert len(sizes) == 5 and sizes.min() >= 59 and sizes.sum() == 299
    for cut, column in ((by_hand, values), (fifths, smooth)):
        for b in range(cut.n_bins):
            inside = column[cut.bin_of == b]
            assert (cut.low[b], cut.high[b]) == (inside.min(), inside.max())
        assert (cut.low[1:] > cut.high[:-1]).all()


def test_what_does_not_vary_or_is_not_known_makes_no_cut():
    nothing = {"same": [2.0] * 9, "unknown": [np.nan] * 9, "one": ["x"] * 9, "none": [None] * 9}
    assert cuts(pd.DataFrame(nothing)) == []


def test_figures_of_a_slice_by_hand():
    wrong = np.zeros(200, dtype=bool)
    wrong[:10] = True
    predictions = predicted(wrong)
    name = np.array(["a"] * 50 + ["b"] * 150, dtype=object)
    found = {(s.name, s.true): s for s in slices(predictions, cuts(pd.DataFrame({"cause": name})))}
    losses = -np.log(predictions.probabilities[np.arange(200), predictions.y_true])
    one = found["a", None]
    assert (one.n, one.errors, one.error_rate) == (50, 10, 0.2)
    assert one.log_loss == pytest.approx(losses[:50].mean())
    assert one.rest == pytest.approx(losses[50:].mean())
    assert one.excess == pytest.approx(losses.mean() - losses[50:].mean())  # the law it stands for
    unseen = unseen_error_loss(predictions.y_true, predictions.probabilities)
    assert one.log_loss_interval == pytest.approx(loss_interval(losses[:50], unseen))
    assert one.error_interval == pytest.approx(tuple(binomtest(10, 50).proportion_ci()))
    cats = predictions.y_true == 0
    cat = found["a", "cat"]
    assert cat.n == cats[:50].sum()
    assert cat.rest == pytest.approx(losses[50:][cats[50:]].mean())
    value = one.as_json()
    assert value["property"] == "cause" and value["stands_out"] is one.stands_out
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_a_planted_fault_comes_first_and_nothing_else_stands_out():
    rng = np.random.default_rng(4)
    n = 3000
    dark = rng.random(n)
    others = {f"noise{k}": rng.normal(size=n) for k in range(5)}
    wrong = rng.random(n) < np.where(dark < 0.2, 0.25, 0.03)
    found = slices(predicted(wrong), cuts(pd.DataFrame({"dark": dark, **others})))
    marked = [(s.trait, s.bin) for s in found if s.stands_out]
    assert (
        set(marked) == {("dark", 0)} and marked == [(s.trait, s.bin) for s in found][: len(marked)]
    )
    assert found[0].true is None
    assert all(s.p <= s.p_adjusted for s in found)


def test_a_hard_class_makes_none_of_its_slices_stand_out():
    rng = np.random.default_rng(5)
    n = 2000
    predictions = predicted(np.zeros(n, dtype=bool))
    wrong = rng.random(n) < np.where(predictions.y_true == 1, 0.3, 0.01)
    predictions = predicted(wrong)
    found = slices(predictions, cuts(pd.DataFrame({"noise": rng.normal(size=n)})))
    assert not [s for s in found if s.stands_out]


def test_copies_of_an_image_count_once_in_the_intervals():
    wrong = np.arange(100) % 9 == 0
    once = predicted(wrong)
    copies = once.take(np.arange(300) // 3)
    dark = np.repeat([0.0, 1.0], 50)
    repeats = np.arange(300) // 3
    one, other = (
        next(s for s in found if (s.bin, s.true) == (0, None))
        for found in (
            slices(once, cuts(pd.DataFrame({"dark": dark}))),
            slices(copies, cuts(pd.DataFrame({"dark": dark[repeats]})), repeats),
        )
    )
    assert (one.n, other.n) == (50, 150)
    assert other.error_interval == pytest.approx(one.error_interval, abs=1e-3)
    assert other.log_loss_interval == pytest.approx(one.log_loss_interval)


def test_small_slices_say_nothing():
    name = np.array(["few"] * 4 + ["enough"] * 5 + ["rest"] * 91, dtype=object)
    number = np.repeat([0.0, 1.0, 2.0], [19, 40, 41])
    wrong = np.arange(100) % 7 == 0
    found = slices(predicted(wrong), cuts(pd.DataFrame({"cause": name, "number": number})))
    assert {s.name for s in found if s.trait == "cause" and s.true is None} == {"enough", "rest"}
    assert {s.bin for s in found if s.trait == "number" and s.true is None} == {1, 2}


def test_without_labels_it_is_refused():
    table = make_predictions(["a"], ["a"], np.array([UNKNOWN]), np.array([[0.5, 0.5]]), ("a", "b"))
    with pytest.raises(UserError, match="labelled"):
        slices(table, [])


@pytest.mark.parametrize("size", [20, 60, 200])
def test_the_chance_of_a_draw_is_that_of_many_real_draws(size):
    rng = np.random.default_rng(0)
    values = rng.gamma(0.3, 1.0, 400)  # skewed, as losses are
    means = np.array([rng.permutation(values)[:size].mean() for _ in range(20_000)])
    for q in (0.5, 0.9, 0.99, 0.999):
        at = np.quantile(means, q)
        found = permutation_pvalue(np.array([at]), np.array([size]), values)[0]
        assert 0.75 * (1 - q) < found < 2.5 * (1 - q)  # a normal one is 30 times off at size 20


def test_the_chance_of_a_draw_at_its_ends():
    even = permutation_pvalue(np.array([1.0, 0.5]), np.array([3, 3]), np.ones(9))
    assert even.tolist() == [1, 1]
    assert permutation_pvalue(
        np.array([2.0]), np.array([4]), np.array([0.0, 1, 2, 5])
    ).tolist() == [1]
    symmetric = permutation_pvalue(np.array([0.0]), np.array([5]), np.linspace(-1, 1, 11))
    assert symmetric == pytest.approx([0.5])


def test_copies_of_images_leave_the_p_values_as_they_are():
    rng = np.random.default_rng(1)
    wrong, name = rng.random(300) < 0.2, rng.choice(["a", "b", "c"], 300)
    table, five = predicted(wrong), np.repeat(np.arange(300), 5)
    once = slices(table, cuts(pd.DataFrame({"name": name.astype(object)})))
    copied = slices(table.take(five), cuts(pd.DataFrame({"name": name[five].astype(object)})), five)
    of_once = {(s.name, s.true): s.p for s in once}
    assert {(s.name, s.true): s.p for s in copied} == pytest.approx(of_once)


def test_grouped_images_raise_no_more_false_alarms_than_the_level():
    rng = np.random.default_rng(0)
    found: list[np.ndarray] = []
    for _ in range(200):
        groups = np.repeat(np.arange(120), 1 + rng.geometric(0.2, 120))  # of any size
        losses, bins = rng.gamma(0.3, 1.0, 120)[groups], rng.integers(5, size=120)[groups]
        found.append(bin_pvalues(losses, bins, 5, groups))
        assert bin_pvalues(losses, np.minimum(groups, 4), 5, groups)[:4].tolist() == [1] * 4
    assert np.mean(np.array(found) <= 0.05) < 0.07  # 0.25 if each image counted
    assert np.mean(np.array(found) <= 0.01) < 0.02  # 0.20


def test_p_values_are_adjusted_as_benjamini_and_hochberg_do():
    rng = np.random.default_rng(2)
    cut_by = cuts(pd.DataFrame({name: rng.normal(size=600) for name in "abc"}))
    p = {}
    for found in slices(predicted(rng.random(600) < 0.2), cut_by):
        p[found.p] = found.p_adjusted, [*p.get(found.p, (0, []))[1], found]
    count = sum(len(same) for _, same in p.values())
    assert count > 20
    at_most = {each: sum(len(p[other][1]) for other in p if other <= each) for each in p}
    for each, (adjusted, _) in p.items():
        larger = [other * count / at_most[other] for other in p if other >= each]
        assert adjusted == pytest.approx(min(1, *larger))  # equation 1 of their paper


def test_slices_have_words():
    frame = pd.DataFrame(
        {
            "brightness": np.linspace(0.1, 0.9, 100), "bytes": np.linspace(1e3, 2e5, 100),
            "pixels": np.linspace(1e4, 2e6, 100), "cause": ["viewpoint"] * 50 + ["scale"] * 50,
        }
    )  # fmt: skip
    made = {cut.trait: cut for cut in cuts(frame)}
    assert cut_words(made["brightness"], 0) == "Darkest fifth (brightness 10% to 25%)"
    assert cut_words(made["bytes"], 4) == "Largest-file fifth (file size 162 to 200 kB)"
    assert [cut_words(made["pixels"], bin).partition(" (")[0] for bin in range(5)] == [
        "Smallest fifth", "Second-smallest fifth", "Middle fifth", "Second-largest fifth",
        "Largest fifth",
    ]  # fmt: skip
    assert cut_words(made["pixels"], 0) == "Smallest fifth (size 0.01 to 0.39 megapixels)"
    few = next(iter(cuts(pd.DataFrame({"brightness": [0.1, 0.1, 0.1, 0.9, 0.9, 0.9]}))))
    assert cut_words(few, 0) == "Brightness 10%"  # no fifth
    assert cut_words(made["cause"], 1) == "Cause: viewpoint"
    found = slices(predicted(np.arange(100) % 3 == 0), list(made.values()))
    assert {described(s) for s in found if s.trait == "cause"} >= {
        "Cause: scale", "Cause: scale, true cat",
    }  # fmt: skip
