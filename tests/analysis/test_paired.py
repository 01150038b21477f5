"""The paired difference, against SciPy's bootstrap and by its laws."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap, norm

from engine.analysis.paired import paired_difference

LOSSES = arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 36))


def _skewed(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.gamma(0.2, 2.0, n)  # most images cost nothing, a few cost much
    return shared + rng.gamma(0.3, 0.1, n), shared + rng.gamma(0.3, 0.09, n)


def test_the_interval_is_the_paired_bootstrap_of_scipy():
    a, b = _skewed(400)
    difference, low, high = paired_difference(a, b)
    assert difference == pytest.approx(a.mean() - b.mean())
    theirs = bootstrap(
        (a, b), lambda x, y, axis: (x - y).mean(axis=axis), paired=True, vectorized=True,
        n_resamples=20_000, method="percentile", rng=np.random.default_rng(3),
    )  # fmt: skip
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)


def test_many_images_are_quick_and_as_the_central_limit_says():
    a, b = _skewed(25_000)
    started = time.process_time()
    difference, low, high = paired_difference(a, b)
    assert time.process_time() - started < 0.5
    half = norm.ppf(0.975) * (a - b).std() / len(a) ** 0.5
    assert (low, high) == pytest.approx((difference - half, difference + half))


def test_what_both_pay_drops_out():
    a, b = _skewed(300)
    shared = np.random.default_rng(5).gamma(1.0, 30.0, 300)
    assert paired_difference(a + shared, b + shared) == pytest.approx(paired_difference(a, b))


@settings(max_examples=15)
@given(LOSSES, st.integers(0, 5))
def test_its_laws(losses, seed):
    other = losses[::-1].copy()
    difference, low, high = paired_difference(losses, other, seed)
    least, most = (losses - other).min(), (losses - other).max()
    assert least - 1e-9 <= low <= high <= most + 1e-9  # means of three equal numbers round
    turned = paired_difference(other, losses, seed)
    assert turned == pytest.approx((-difference, -high, -low), abs=1e-9)
    assert paired_difference(losses, losses, seed) == (0, 0, 0)
    assert paired_difference(losses + 1, losses, seed) == pytest.approx((1, 1, 1), abs=1e-9)


def test_images_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="the same images"):
        paired_difference(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="finite"):
        paired_difference(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="finite"):
        paired_difference(np.array([np.nan]), np.array([1.0]))
