"""Triage, against SciPy, cleanlab, scikit-learn and hand-worked tables, on planted faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cleanlab.outlier import OutOfDistribution
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import combine_pvalues, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_predict

from engine.analysis.neighbours import nearest
from engine.analysis.suspect_ranking import (
    COLUMNS,
    DUPLICATE,
    LABEL,
    LEAK,
    ODD,
    Evidence,
    atypicality,
    joined,
    label_score,
    odd_score,
    repeated,
    suspects,
)
from engine.analysis.suspects import counterpart

N, FLIPPED, STRANGE = 240, 12, 6


class Planted:
    """Two classes of points; the first of one class are mislabelled, the last are of neither."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        truth = np.arange(N) % 2
        x = rng.normal(0, 1, (N, 96)) * np.r_[np.full(12, 1.0), np.full(84, 0.2)]
        x[:, 0] += np.where(truth == 1, 4, -4)
        x[-STRANGE:, 0] = 0
        x[-STRANGE:, 12:] += 0.4 * rng.choice([-1, 1], (STRANGE, 84))  # each alone, far from all
        self.features = x.astype(np.float32)
        self.labels = truth.copy()
        self.labels[:FLIPPED] = 1 - truth[:FLIPPED]
        centred = self.features - self.features.mean(axis=0)
        rows, distances = nearest(centred, centred, 10, itself=np.arange(N))
        p = cross_val_predict(
            LogisticRegression(C=0.1), self.features, self.labels, cv=5, method="predict_proba"
        )
        self.evidence = Evidence(
            self.labels, p, rows, distances, atypicality(self.features), ("cat", "dog")
        )
        self.images = pd.DataFrame(
            {
                "id": [f"{i:04}" for i in range(N)],
                "path": [f"train/{i}.jpg" for i in range(N)],
                "split": "train",
                "label": np.array(["cat", "dog"])[self.labels],
                "sha256": [f"{i:064x}" for i in range(N)],
            }
        )


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


@settings(max_examples=40)
@given(arrays(np.float64, (12, 3), elements=st.floats(-5, 5)))
def test_signs_are_joined_as_fisher_joins_p_values(signs):
    got = joined(*signs.T)
    shares = np.column_stack([(12 - rankdata(sign) + 1) / 13 for sign in signs.T])
    want = [combine_pvalues(row, method="fisher").pvalue for row in shares]
    assert got == pytest.approx(-np.log10(want))
    for row in range(12):  # whoever stands higher in every ranking stands higher in all
        above = (signs > signs[row]).all(axis=1)
        assert (got[above] > got[row]).all()


def test_one_strong_sign_lifts_and_so_do_several_weak_ones():
    n = 1000
    strong = np.zeros(n)
    strong[0] = 1
    weak = np.random.default_rng(0).random((2, n))
    weak[:, 1] = 0.95
    weak[:, 0] = 0.5
    score = joined(strong, *weak)
    order = np.argsort(-score).tolist()
    assert order.index(0) < 20
    assert order.index(1) < 150 < n * 0.2


def test_the_neighbours_votes_by_brute_force(planted):
    votes = planted.evidence.votes
    for row in (0, 7, N - 1):
        weight = 1 / (planted.evidence.distances[row] + 0.1)
        labels = planted.labels[planted.evidence.neighbours[row]]
        want = [weight[labels == c].sum() / weight.sum() for c in (0, 1)]
        assert votes[row] == pytest.approx(want)
    assert votes.sum(axis=1) == pytest.approx(np.ones(N))


def test_the_distance_ranks_as_cleanlabs_out_of_distribution_score(planted):
    centred = planted.features - planted.features.mean(axis=0)
    theirs = OutOfDistribution(params={"k": 10}).fit_score(features=centred, verbose=False)
    ours = planted.evidence.distances.mean(axis=1)
    assert set(np.argsort(theirs)[:STRANGE]) == set(np.argsort(-ours)[:STRANGE])
    assert rankdata(-ours) == pytest.approx(rankdata(theirs), abs=2)


def test_atypicality_is_what_the_first_singular_vectors_leave_over(planted):
    x = planted.features.astype(np.float64)
    spread = x * np.r_[10, 5, 4, 3, np.full(92, 0.1)]  # directions that stand apart
    assert atypicality(spread, 4) == pytest.approx(_left_over(spread), abs=1e-3)
    assert atypicality(np.ones((3, 5))) == pytest.approx(np.zeros(3))


def _left_over(x: np.ndarray) -> np.ndarray:
    unit = x - x.mean(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    directions = np.linalg.svd(unit)[2][:4]
    return np.linalg.norm(unit - unit @ directions.T @ directions, axis=1)


def test_planted_faults_are_found_ranked_and_told_apart(planted):
    flipped, strange = np.arange(N) < FLIPPED, np.arange(N) >= N - STRANGE
    assert average_precision_score(flipped, label_score(planted.evidence)) > 0.95
    assert average_precision_score(strange, odd_score(planted.evidence)) > 0.95
    found = suspects(planted.images, planted.evidence)
    assert list(found.columns) == COLUMNS and len(found) == 100
    assert (np.diff(found["score"]) <= 0).all()
    first = found.head(FLIPPED + STRANGE)
    assert set(first["id"]) == set(planted.images["id"][flipped | strange])
    kinds = first.set_index("id")["kind"]
    assert (kinds[planted.images["id"][flipped]] == LABEL).all()
    # Those that look like the other class to model and neighbours alike go by their label.
    assert (kinds[planted.images["id"][strange]] == ODD).mean() > 0.5
    top = first[first["kind"] == LABEL].iloc[0]
    assert {top["label"], top["suggested"]} == {"cat", "dog"}
    assert f"nearest images are {top['suggested']}" in top["reason"]
    odd = found[found["kind"] == ODD].iloc[0]
    row = planted.images.index[planted.images["id"] == odd["id"]][0]
    mean = planted.evidence.distances.mean(axis=1)
    closer = min(100 * (mean <= mean[row]).mean(), 99.9)
    assert odd["reason"].startswith(f"Unusual: {closer:.1f} % of the images have closer")


def test_joining_is_better_than_each_sign_alone():
    gains = []
    for seed in range(3):
        made = Planted(seed)
        bad = (np.arange(N) < FLIPPED) | (np.arange(N) >= N - STRANGE)
        own = made.evidence.own
        ours = np.maximum(label_score(made.evidence), odd_score(made.evidence))
        gains.append(average_precision_score(bad, ours) - average_precision_score(bad, -own))
    assert np.mean(gains) > 0 and min(gains) > -0.02


def test_images_that_lie_twice():
    same, near = np.array([1.0, 0, 0, 0]), np.array([0.99, 0.05, 0, 0])
    features = np.array(
        [same, same, near, [0, 1, 0, 0], [0, 1, 0.01, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        dtype=np.float32,
    )
    images = pd.DataFrame(
        {
            "id": list("abcdefgh"),
            "path": [f"{name}.jpg" for name in "abcdefgh"],
            "split": ["train", "valid", "test", "train", "train", "train", "train", "train"],
            "label": ["cat", "cat", None, "cat", "dog", "dog", "dog", "cat"],
            "sha256": ["1", "1", "2", "3", "4", "5", "5", "6"],
        }
    )
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    found = repeated(images, groups, features, 0.85).set_index("id")
    assert sorted(found.index) == ["b", "d"]  # f and g: one split, one label
    assert found.loc["b", "kind"] == LEAK and found.loc["d", "kind"] == DUPLICATE
    assert found.loc["b", "reason"] == "In valid, the same file as a.jpg in train and 1 more."
    assert "nearly the same as e.jpg in train, labelled dog there" in found.loc["d", "reason"]
    assert counterpart(found.loc["b", "reason"]) == ("a.jpg", "train")
    assert counterpart(found.loc["d", "reason"]) == ("e.jpg", "train")
    assert counterpart("9 of its 10 nearest images are dog; out-of-fold P(cat) = 0.006.") is None
    assert repeated(images, np.arange(8), features, 0.85).empty
    assert repeated(images.assign(label=None), groups, features, 0.85).empty


def test_hostile_names_are_only_words(planted):
    names = ("<b>cat</b>", "[red]dog{0}")
    images = planted.images.assign(label=np.array(names)[planted.labels])
    changed = replace(planted.evidence, class_names=names)
    found = suspects(images, changed)
    assert found["reason"].str.contains("<b>cat</b>|\\[red\\]dog\\{0\\}").all()
