"""Near-identical images share a group, as by comparing all pairs; folds keep groups whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from engine.analysis import near_duplicates as module
from engine.analysis.near_duplicates import SIMILARITY, assign_folds, near_identical


def _images(n: int, width: int, copies: int, seed: int = 0) -> np.ndarray:
    """Draw features like a network's; the last ``copies`` are others a little changed."""
    rng = np.random.default_rng(seed)
    own = np.maximum(rng.normal(0.3, 1, (n - copies, width)), 0)
    near = own[rng.integers(0, n - copies, copies)] + rng.normal(0, 0.15, (copies, width))
    return np.concatenate([own, near]).astype(np.float32)


def _by_all_pairs(features: np.ndarray, sha256: list[str], threshold: float) -> np.ndarray:
    """Return the same groups the plain way: the lowest row that can be reached."""
    _, first = np.unique(sha256, return_index=True)
    x = features.astype(np.float64) - features[first].mean(axis=0, dtype=np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    same = np.array([[a == b for a in sha256] for b in sha256])
    linked = (x @ x.T >= threshold) | same
    group = np.arange(len(x))
    while True:
        lowest = np.where(linked, group[None, :], len(x)).min(axis=1)
        if (lowest == group).all():
            return group
        group = lowest


def _same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a)) == len(set(b))


@pytest.mark.parametrize("threshold", [SIMILARITY, 0.95])
def test_groups_are_those_of_comparing_all_pairs(threshold, monkeypatch):
    for name, rows in {"_BLOCK": 32, "_OTHERS": 48, "_TURN": 2, "_PAIRS": 16}.items():
        monkeypatch.setattr(module, name, rows)
    features = _images(500, 96, 120)
    names = [f"{i:x}" for i in range(500)]
    names[490], features[490] = names[7], features[7]
    seen: list[int] = []
    found = near_identical(features, names, threshold, lambda done, _: seen.append(done))
    assert _same_partition(found, _by_all_pairs(features, names, threshold))
    assert seen == sorted(seen) and len(seen) == 8 and seen[-1] == 499
    assert 300 < len(set(found)) < 500
    assert sorted(set(found)) == list(range(len(set(found))))


def test_features_that_cannot_tell_images_apart_group_by_content_alone():
    rng = np.random.default_rng(0)
    brightness = rng.normal(size=(60, 1)) @ np.ones((1, 32)) + 0.01 * rng.normal(size=(60, 32))
    names = [f"{i // 2}" if i < 10 else f"{i}" for i in range(60)]
    found = near_identical(brightness.astype(np.float32), names)
    assert _same_partition(found, np.unique(names, return_inverse=True)[1])


def test_one_image_equal_images_and_empty_features_are_groups():
    assert near_identical(np.ones((1, 4), np.float32), ["a"]).tolist() == [0]
    assert near_identical(np.empty((0, 4), np.float32), []).tolist() == []
    assert near_identical(np.ones((3, 4), np.float32), ["a", "b", "b"]).tolist() == [0, 1, 1]


def test_features_must_be_finite_and_have_a_checksum_each():
    with pytest.raises(ValueError, match="finite"):
        near_identical(np.full((2, 3), np.nan, np.float32), ["a", "b"])
    with pytest.raises(ValueError, match="checksum"):
        near_identical(np.ones((2, 3), np.float32), ["a"])


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=40, max_size=120),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_a_group_lies_in_one_fold_and_no_fold_is_empty(images, k, seed):
    labels, groups = (np.array(column) for column in zip(*images, strict=True))
    groups = np.unique(groups, return_inverse=True)[1]
    if len(set(groups)) < k:
        with pytest.raises(ValueError, match=f"{k} folds"):
            assign_folds(labels, groups, k, seed)
        return
    fold = assign_folds(labels, groups, k, seed)
    assert set(fold) == set(range(k))
    assert all(len(set(fold[groups == g])) == 1 for g in set(groups))
    assert np.array_equal(fold, assign_folds(labels, groups, k, seed))


def test_single_images_are_dealt_evenly_by_class_and_in_all():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 1003, p=[0.7, 0.2, 0.1])
    fold = assign_folds(labels, np.arange(1003), 7)
    for rows in (fold, *(fold[labels == c] for c in range(3))):
        counts = np.bincount(rows, minlength=7)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(fold, assign_folds(labels, np.arange(1003), 7, seed=1))


def test_folds_are_as_even_as_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    groups = np.unique(np.minimum(rng.geometric(0.01, 900), 200), return_inverse=True)[1]
    labels = rng.integers(0, 2, 900)
    peer = np.zeros(900, dtype=int)
    for number, (_, rows) in enumerate(StratifiedGroupKFold(5).split(labels, labels, groups)):
        peer[rows] = number

    def unevenness(fold: np.ndarray) -> int:
        return max(int(np.ptp(np.bincount(fold[labels == c], minlength=5))) for c in (0, 1))

    assert unevenness(assign_folds(labels, groups, 5)) <= 1.5 * unevenness(peer) + 2
