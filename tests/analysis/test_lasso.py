"""Points in a polygon, against a winding of angles and laws of geometry."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.analysis.lasso import inside
from tests.support.polygons import turns

COORDINATE = st.integers(0, 40)
STAR = arrays(np.int64, st.integers(3, 12), elements=st.integers(1, 9))  # radii by angle


def star(radii: np.ndarray) -> np.ndarray:
    angles = 2 * np.pi * np.arange(len(radii)) / len(radii)
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])


def distance(point: np.ndarray, polygon: np.ndarray) -> float:
    """Return how far a point lies from the outline."""
    a, along = polygon, np.roll(polygon, -1, axis=0) - polygon
    at = np.einsum("nd,nd->n", point - a, along) / np.maximum((along**2).sum(axis=1), 1e-12)
    nearest = a + np.clip(at, 0, 1)[:, None] * along
    return float(np.linalg.norm(point - nearest, axis=1).min())


def test_a_square_and_a_hole():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], dtype=float)
    points = np.array([[2, 2], [5, 2], [-1, 2], [2, 5], [3.9, 0.1], [np.nan, 2]])
    assert inside(points, square).tolist() == [True, False, False, False, True, False]
    bow = np.array([[0, 0], [4, 4], [4, 0], [0, 4]], dtype=float)  # crosses itself
    points = np.array([[0.5, 2], [3.5, 2], [2, 0.5], [2, 3.5]])
    assert inside(points, bow).tolist() == [True, True, False, False]


@given(STAR, arrays(np.float64, (20, 2), elements=st.floats(-10, 10, width=16)))
def test_it_is_where_the_outline_goes_round(radii, points):
    polygon = star(radii)
    round_ = np.array([turns(point, polygon) for point in points])
    clear = np.array([distance(point, polygon) > 1e-6 for point in points])
    assume(clear.any())
    np.testing.assert_array_equal(inside(points, polygon)[clear], np.abs(round_[clear]) > 0.5)


@given(
    st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=9),
    st.integers(0, 8),
    arrays(np.float64, (30, 2), elements=st.integers(-1, 40).map(float)),
)
@example([(0, 0), (0, 0), (2, 2)], 0, np.zeros((30, 2)))
def test_where_it_begins_and_which_way_it_goes_do_not_matter(corners, shift, points):
    polygon = np.array(corners, dtype=float)
    points = points + [np.pi / 10, np.e / 10]  # so that none lies on a line between corners
    found = inside(points, polygon)
    np.testing.assert_array_equal(inside(points, np.roll(polygon, shift, axis=0)), found)
    np.testing.assert_array_equal(inside(points, polygon[::-1]), found)
    np.testing.assert_array_equal(inside(points + 7, polygon + 7), found)
