"""Tails of the gamma distribution, against SciPy."""

from __future__ import annotations

from math import erfc, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaincc

from engine.analysis.gamma import gamma_tail
from tests.support.modules import IMPORTS, within

SHAPES = st.floats(1e-3, 1e3) | st.floats(999, 1001) | st.floats(1e3, 1e9)


@given(SHAPES, st.floats(-4.4, 4.4))  # beyond, SciPy ends its sums too soon for large shapes
def test_tails_are_scipys(shape, deviations):
    x = max(shape + deviations * sqrt(shape), 0)
    assert gamma_tail(shape, x) == pytest.approx(float(gammaincc(shape, x)), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("deviations", [-7.0, -5.0, 5.0, 7.0])
def test_a_large_shape_is_normal(deviations):
    shape = 4e16
    tail = gamma_tail(shape, shape + deviations * sqrt(shape))
    assert tail == pytest.approx(erfc(deviations / sqrt(2)) / 2, rel=1e-5)


def test_ends():
    assert [gamma_tail(2.0, x) for x in (-1.0, 0.0, float("inf"))] == [1, 1, 0]
    assert gamma_tail(1250.0, 12500.0) == 0 and gamma_tail(1250.0, 1.0) == 1


@pytest.mark.parametrize("name", ["gamma", "stats", "grouped", "slices"])
def test_the_first_page_loads_no_scipy(name):
    assert not {i for i in IMPORTS[f"engine.analysis.{name}"] if within(i, ("scipy",))}
