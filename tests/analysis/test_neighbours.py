"""Nearest rows against scikit-learn, in blocks and with the query itself left out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from engine.analysis import neighbours
from engine.analysis.neighbours import nearest


@pytest.mark.parametrize("block", [10, 16_000_000])
def test_the_nearest_are_scikit_learns(block, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK_NUMBERS", block)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 24)).astype(np.float16)
    queries = rng.normal(size=(30, 24)).astype(np.float32)
    rows, distances = nearest(queries, features, 7)
    model = NearestNeighbors(n_neighbors=7, metric="cosine").fit(features.astype(float))
    want_distances, want = model.kneighbors(queries.astype(float))
    np.testing.assert_array_equal(rows, want)
    np.testing.assert_allclose(distances, want_distances, atol=1e-6)


def test_an_image_is_not_its_own_neighbour_but_its_copy_is():
    features = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    rows, distances = nearest(features[:1], features, 4, itself=np.array([0]))
    assert rows.tolist() == [[1, 2, 3, -1]]
    np.testing.assert_allclose(distances[0, :3], [0, 1, 2], atol=1e-6)
    assert np.isinf(distances[0, 3])
    assert nearest(features[:1], features, 2, itself=np.array([-1]))[0].tolist() == [[0, 1]]


def test_length_does_not_count_and_ties_come_in_order():
    features = np.array([[0, 3], [5, 0], [0, 0.1], [0, 7], [0, 0]], dtype=np.float32)
    rows, distances = nearest(np.array([[0.0, 2.0]]), features, 5)
    assert rows[0, :3].tolist() == [0, 2, 3]
    np.testing.assert_allclose(distances[0], [0, 0, 0, 1, 1], atol=1e-6)


def test_nothing_to_compare_with_and_nonsense():
    assert nearest(np.zeros((2, 3)), np.zeros((0, 3)), 5)[0].shape == (2, 0)
    with pytest.raises(ValueError):
        nearest(np.zeros((2, 3)), np.zeros((4, 3)), 0)
    with pytest.raises(ValueError):
        nearest(np.zeros((2, 3)), np.zeros((4, 2)), 1)
