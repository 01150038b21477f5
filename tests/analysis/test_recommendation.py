"""The recommendation cannot hurt, is the same in any order, and promises what it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold

from engine.analysis import recommendation
from engine.analysis.compared_corrections import named
from engine.analysis.corrections import fit_corrections, refitting
from engine.analysis.gain import cross_validated_gain, cross_validated_losses, difference_interval
from engine.analysis.recommendation import compare_corrections
from tests.support.clip_tables import many_classes, two_classes
from tests.support.populations import populations

NAMES = ["none", "clip", "temperature", "platt", "isotonic"]


def honest(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels that are drawn by the very probabilities."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.4, 0.4, n)
    return (rng.random(n) < p).astype(int), np.column_stack([1 - p, p])


def test_over_confident_predictions_are_corrected_and_the_gain_is_said():
    y, p = two_classes(1000)
    found = compare_corrections(y, p)
    assert [one.name for one in found.scored] == NAMES and found.left_out == []
    assert found.raw == pytest.approx(log_loss(y, p))
    chosen = found.choice
    assert found.recommended != "none" and found.clear
    low, high = chosen.gain.interval
    assert low < chosen.gain.difference < high < 0
    assert chosen.gain.difference == pytest.approx(chosen.log_loss - found.raw)
    assert named(found.chosen) in found.sentence and f"{chosen.log_loss:.5f}" in found.sentence


def test_honest_predictions_are_left_alone():
    found = compare_corrections(*honest(400))
    assert found.recommended == "none"
    assert "Apply no correction" in found.sentence and "few" not in found.sentence
    assert "few: with 200 or more" in compare_corrections(*honest(60)).sentence
    assert "30 images are too few to choose one" in compare_corrections(*honest(30)).sentence


def test_a_class_of_which_one_image_is_known_at_most_is_not_corrected_away():
    """Of one image in 100, 370 hold none by chance; its probability is not to be lowered then."""
    p = np.full((370, 2), (0.99, 0.01))
    for positives in (0, 1):
        y = (np.arange(370) < positives).astype(int)
        found = compare_corrections(y, p)
        assert found.recommended == "none" and found.required > 0.1
        assert "of 370 images, fewer than 2 belong to one" in found.sentence
    halves = np.full((370, 2), 0.5)  # which 370 images of one class contradict
    assert compare_corrections(np.zeros(370, int), halves).recommended != "none"


def test_held_out_losses_are_those_of_cross_validation():
    y, p = two_classes(200, 1)
    ours = cross_validated_losses(y, p, refitting(None))
    order = np.lexsort((*p.T, y))[np.random.default_rng(0).permutation(200)]
    expected = np.empty(200)
    for known, held_out in KFold(5).split(order):
        at, rows = np.sort(order[known]), order[held_out]
        corrected = compare_corrections(y[at], p[at]).fitted["temperature"].apply(p[rows])
        expected[rows] = -np.log(corrected[np.arange(len(rows)), y[rows]])
    np.testing.assert_allclose(ours["temperature"], expected, rtol=1e-6)


def test_the_interval_of_a_gain_is_nadeau_and_bengios():
    y, p = honest(300)
    differences = np.random.default_rng(0).normal(-1.0, 0.5, 300)
    fitted = compare_corrections(y, p).fitted["none"]
    gain = cross_validated_gain(y, p, fitted, differences)
    error = 1.959964 * differences.std(ddof=1) * ((1 + 5 / 4) / 300) ** 0.5
    assert gain.interval[0] == pytest.approx(differences.mean() - error)
    assert gain.interval[1] > differences.mean() + error  # an error not seen counts 0 there


def test_one_image_tells_nothing_of_a_difference():
    low, high = difference_interval(np.array([-0.1]), 2.0)
    assert low <= -0.1 and high > 2


@pytest.mark.parametrize("table", [two_classes(120), many_classes(80)])
def test_neither_order_nor_chance_decides(table):
    y, p = table
    order = np.random.default_rng(3).permutation(len(y))
    one, other = compare_corrections(y, p), compare_corrections(y[order], p[order])
    assert one.recommended == other.recommended
    assert named(one.chosen) == named(other.chosen)
    assert one.choice.log_loss == pytest.approx(other.choice.log_loss)


@pytest.mark.parametrize("name", ["Redux", "heavy tails", "90 % accurate", "ten classes"])
def test_neither_does_rounding(name):
    rng = np.random.default_rng(4)
    for _ in range(3):
        y, p, _ = populations(None)[name]().draw(50, rng)
        rounded = p * (1 + 1e-15 * rng.standard_normal(p.shape))
        found, other = fit_corrections(y, p), fit_corrections(y, np.minimum(rounded, 1))
        for correction in found:
            values = found[correction].fitted.values
            assert other[correction].fitted.values == pytest.approx(values, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", populations(None))
def test_no_population_is_hurt(name):
    """No draw of 50 is twice as bad, and the mean of 250 no worse; a few draws of each."""
    population = populations(Path("none"))[name]()
    rows = np.random.default_rng(0).permutation(len(population.y))[:3000]
    truth, p = population.y[rows], population.p[rows]
    raw = log_loss(truth, p, labels=range(p.shape[1]))
    rng = np.random.default_rng(1)
    for n in (50, 250):
        losses = []
        for _ in range(5):
            y, probabilities, groups = population.draw(n * population.copies, rng)
            found = compare_corrections(y, probabilities, groups=groups)
            losses.append(log_loss(truth, found.chosen.apply(p), labels=range(p.shape[1])))
        assert max(losses) < 2 * raw
    assert np.mean(losses) <= raw + 0.001  # of 1,000 draws it is 0.0005; these are five


def test_few_positives_are_corrected_by_their_share():
    population = populations(None)["few positives"]()
    y, p, _ = population.draw(200, np.random.default_rng(2))
    found = compare_corrections(y, p)
    assert found.recommended == "platt"
    after = log_loss(population.y, found.chosen.apply(population.p))
    assert after < 0.2 * log_loss(population.y, population.p)


@pytest.mark.parametrize("n", [10, 50, 500])
def test_certainty_is_always_clipped(n):
    y = np.arange(n) % 2
    p = np.column_stack([1.0 - y, y])
    found = compare_corrections(y, p)
    for fitted in found.fitted.values():
        assert 0 < fitted.apply(p).min() and fitted.apply(p).max() < 1
    unsure = compare_corrections(*honest(n))
    assert 0 < unsure.chosen.apply(p).min()


def test_copies_count_once():
    y, p = two_classes(60, 5)
    once = compare_corrections(y, p)
    copied = compare_corrections(
        np.repeat(y, 4), np.repeat(p, 4, axis=0), groups=np.repeat(np.arange(60), 4)
    )
    assert copied.independent == 60 and "240 images in 60 groups" in copied.sentence
    assert copied.recommended == once.recommended
    assert copied.chosen.values == pytest.approx(once.chosen.values, rel=0.05)


def test_of_many_classes_what_is_not_defined_is_left_out_with_a_reason(monkeypatch):
    found = compare_corrections(*many_classes(100))
    assert [one.name for one in found.scored] == NAMES[:3]
    assert [title for title, _ in found.left_out] == ["Platt scaling", "Isotonic regression"]
    assert all(reason for _, reason in found.left_out) and not found.sampled
    monkeypatch.setattr(recommendation, "_MANY_CLASS_VALUES", 2000)
    sampled = compare_corrections(*many_classes(700))
    assert sampled.sampled and sampled.n == 500


def test_it_says_plain_values():
    found = compare_corrections(*two_classes(100))
    said = found.summary()
    assert said["recommended"] in NAMES and said["sentence"] == found.sentence
    assert [line["name"] for line in said["corrections"]] == NAMES
    assert said["log_loss_without"] == found.raw


def test_too_few_or_unlabelled_images_are_refused():
    with pytest.raises(ValueError, match="too few"):
        compare_corrections(*two_classes(9))
    with pytest.raises(ValueError, match="groups of images are too few"):
        compare_corrections(*two_classes(30), groups=np.arange(30) % 5)
    _, p = two_classes(20)
    with pytest.raises(ValueError, match="class -1"):
        compare_corrections(np.full(20, -1), p)
