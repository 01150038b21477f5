"""Quantiles of the beta distribution, against SciPy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincinv

from engine.analysis.beta import beta_quantile

COUNTS = st.integers(1, 100) | st.integers(1, 1_000_000)


@given(st.sampled_from([0.025, 0.5, 0.975]) | st.floats(1e-4, 1 - 1e-4), COUNTS, COUNTS)
def test_quantiles_are_scipys(q, a, b):
    expected = float(betaincinv(a, b, q))
    assert beta_quantile(q, a, b) == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert beta_quantile(q, a, b) == pytest.approx(expected, abs=2e-12)


@pytest.mark.parametrize("n", [1, 2, 50, 25_000, 1_000_000])
def test_ends_have_a_closed_form(n):
    assert beta_quantile(0.025, n, 1) == pytest.approx(0.025 ** (1 / n), rel=1e-12)
    assert beta_quantile(0.975, 1, n) == pytest.approx(1 - 0.025 ** (1 / n), rel=1e-8)
