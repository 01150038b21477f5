"""Corrections are scored on images they have not seen, and close calls are said to be so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold

from engine.analysis import grouped, recommendation
from engine.analysis.corrections import CORRECTIONS
from engine.analysis.recommendation import compare_corrections
from tests.support.clip_tables import many_classes, two_classes

NAMES = [correction.name for correction in CORRECTIONS]


def honest(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels that are drawn by the very probabilities."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.4, 0.4, n)
    return (rng.random(n) < p).astype(int), np.column_stack([1 - p, p])


def test_over_confident_predictions_are_corrected_and_the_gain_is_said():
    y, p = two_classes(2000)
    found = compare_corrections(y, p)
    by_name = {scored.correction.name: scored for scored in found.scored}
    assert list(by_name) == NAMES and found.left_out == [] and found.n == 2000
    assert by_name["raw"].log_loss == pytest.approx(log_loss(y, p))
    clip = by_name["symmetric"]
    assert clip.interval[0] < clip.difference < clip.interval[1] < 0
    assert clip.difference == pytest.approx(clip.log_loss - by_name["raw"].log_loss)
    best = min(found.scored, key=lambda scored: scored.log_loss)
    assert found.scored[found.best] is best and best.to_best == 0
    assert found.recommended <= found.best and found.recommended > 0
    assert "each scored by a choice made without it" in found.sentence
    assert 0 < found.bounds[0] < found.bounds[1] < 1


def test_honest_predictions_are_a_toss_up_and_left_alone():
    found = compare_corrections(*honest(400))
    assert found.scored[found.recommended].correction.name == "raw"
    assert found.toss_up == (found.best != 0)
    assert found.bounds == (0.0, 1.0)
    assert ("toss-up" in found.sentence) == found.toss_up
    assert "no correction" in found.sentence


def test_what_fits_too_closely_scores_worse_than_on_its_own_images():
    y, p = honest(60, 3)
    found = compare_corrections(y, p)
    curve = found.scored[NAMES.index("isotonic")]
    assert log_loss(y, curve.fitted.apply(p)) < log_loss(y, p) < curve.log_loss


def test_held_out_losses_are_those_of_cross_validation(monkeypatch):
    monkeypatch.setattr(recommendation, "REPEATS", 1)
    y, p = two_classes(300, 1)
    for correction in CORRECTIONS[1:]:
        ours = recommendation._held_out_losses(correction, y, p, None, seed=5)
        order = np.random.default_rng((5, 0)).permutation(300)
        expected = np.empty(300)
        for known, held_out in KFold(5).split(order):
            fitted = correction.fit(y[np.sort(order[known])], p[np.sort(order[known])], None)
            rows = order[held_out]
            corrected = fitted.apply(p[rows])
            expected[rows] = -np.log(corrected[np.arange(len(rows)), y[rows]])
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_intervals_are_those_of_scipy_s_paired_bootstrap(monkeypatch):
    y, p = two_classes(500, 2)
    losses = np.stack(
        [recommendation._held_out_losses(c, y, p, None, 0) for c in CORRECTIONS[:2]], axis=1
    )
    found = compare_corrections(y, p).scored[1]
    theirs = bootstrap(
        (losses[:, 1], losses[:, 0]), lambda a, b: np.mean(a) - np.mean(b), paired=True,
        vectorized=False, method="percentile", n_resamples=3000, random_state=0,
    ).confidence_interval  # fmt: skip
    assert found.interval == pytest.approx((theirs.low, theirs.high), rel=0.1)
    monkeypatch.setattr(grouped, "_RESAMPLED_UP_TO", 100)
    normal = recommendation._intervals(losses, None, 0, 0)[1]
    assert normal == pytest.approx((theirs.low, theirs.high), rel=0.15)


def test_of_many_classes_what_is_not_defined_is_left_out_with_a_reason(monkeypatch):
    found = compare_corrections(*many_classes(100))
    names = [scored.correction.name for scored in found.scored]
    assert names == ["raw", "symmetric", "temperature", "independent", "temperature-clip"]
    assert [title for title, _ in found.left_out] == ["Platt scaling", "Isotonic regression"]
    assert all(reason for _, reason in found.left_out) and not found.sampled
    monkeypatch.setattr(recommendation, "_MANY_CLASS_VALUES", 2000)
    monkeypatch.setattr(recommendation, "REPEATS", 1)
    sampled = compare_corrections(*many_classes(700))
    assert sampled.sampled and sampled.n == 500


def test_of_a_large_table_a_sample_is_looked_at(monkeypatch):
    y, p = two_classes(300)
    monkeypatch.setattr(recommendation, "_MOST", 200)
    found = compare_corrections(y, p)
    rows = np.sort(np.random.default_rng(0).choice(300, 200, replace=False))
    assert found.sampled and found.n == 200 and found.summary()["sampled"]
    raw = log_loss(y[rows], p[rows], labels=[0, 1])
    assert found.scored[0].log_loss == pytest.approx(raw)


def test_it_repeats_and_says_plain_values():
    table = two_classes(200)
    found = compare_corrections(*table)
    again, said = compare_corrections(*table).summary(), found.summary()
    assert again == said
    assert said["recommended"] in NAMES and said["toss_up"] == found.toss_up
    assert [line["name"] for line in said["corrections"]] == NAMES
    assert said["sentence"] == found.sentence
    assert (said["lower"], said["upper"]) == found.bounds


def test_too_few_or_unlabelled_images_are_refused():
    with pytest.raises(ValueError, match="too few"):
        compare_corrections(*two_classes(9))
    y, p = two_classes(20)
    with pytest.raises(ValueError, match="class -1"):
        compare_corrections(np.full(20, -1), p)
