"""Each correction is what its description says, and the posterior is that of plain quadrature."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, softmax
from sklearn.isotonic import IsotonicRegression

from engine.analysis.calibration_posterior import calibration_posterior, make_rows
from engine.analysis.clipping import clip_probabilities
from engine.analysis.corrections import fit_corrections, fit_isotonic
from engine.analysis.fitted import FittedCorrection
from engine.analysis.sharpened_loss import SharpenedLoss
from engine.errors import UserError
from tests.support.clip_tables import many_classes, tables, two_classes

Table = tuple[np.ndarray, np.ndarray]


def log_odds(p: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(p[:, 1]) - np.log(p[:, 0]))


def test_of_many_images_the_temperature_is_that_of_the_greatest_likelihood():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 4, 20_000)
    y = (rng.random(20_000) < expit(z / 2)).astype(int)
    p = np.column_stack([expit(-z), expit(z)])
    fitted = fit_corrections(y, p)["temperature"].fitted
    sign = np.where(y == 1, 1, -1)
    best = minimize(lambda t: np.logaddexp(0, -sign * z / t[0]).mean(), [1.0]).x[0]
    assert fitted.temperature == pytest.approx(best, rel=0.03)


def test_of_many_images_platt_s_line_is_that_of_the_greatest_likelihood():
    rng = np.random.default_rng(1)
    z = rng.normal(0, 3, 20_000)
    y = (rng.random(20_000) < expit(0.6 * z - 1.5)).astype(int)
    p = np.column_stack([expit(-z), expit(z)])
    values = fit_corrections(y, p)["platt"].fitted.values
    assert values["slope"] == pytest.approx(0.6, abs=0.03)
    assert values["intercept"] == pytest.approx(-1.5, abs=0.08)
    mirrored = fit_corrections(y, p, positive=0)["platt"].fitted
    other = fit_corrections(y, p)["platt"].fitted
    np.testing.assert_allclose(mirrored.apply(p), other.apply(p), atol=1e-9)


def test_few_images_change_little_and_many_change_much():
    rng = np.random.default_rng(2)
    z = rng.normal(0, 6, 5000)
    y = (rng.random(5000) < expit(z / 3)).astype(int)
    p = np.column_stack([expit(-z), expit(z)])
    found = [fit_corrections(y[:n], p[:n])["temperature"].fitted.temperature for n in (10, 5000)]
    assert 1 <= found[0] < found[1] == pytest.approx(3, rel=0.15)


def test_the_posterior_is_that_of_a_plain_sum():
    """Of three classes there is no shift; the sum below uses a finer grid and no refinement."""
    y, p = many_classes(40, 3)
    rows = make_rows(y, p, 40)
    ours = calibration_posterior(rows).target
    log_a = np.linspace(-2.4, 2.4, 241)
    lapses = np.append(np.exp(np.linspace(np.log(1e-5), np.log(0.1), 121)), 0.0)
    prior_a = (1 + (log_a / 0.4) ** 2 / 3) ** -2 * 0.3675526 / 0.4 * 0.02 * 0.5
    prior_a = np.append(prior_a, 0.5)
    prior_lapse = np.append(np.full(121, 0.4 / 121), 0.6)
    total, mean = 0.0, np.zeros_like(p)
    for a, of_a in zip(np.exp(np.append(log_a, 0.0)), prior_a, strict=True):
        scaled = np.exp(a * np.log(p))
        scaled /= scaled.sum(axis=1, keepdims=True)
        for lapse, of_lapse in zip(lapses, prior_lapse, strict=True):
            mixed = lapse / 3 + (1 - lapse) * scaled
            weight = of_a * of_lapse * np.prod(mixed[np.arange(40), y])
            total, mean = total + weight, mean + weight * mixed
    np.testing.assert_allclose(ours, mean / total, atol=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 9), st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_the_loss_of_sorted_rows_is_that_of_clipped_tables(k, m, seed, certain):
    """A table for each sharpness and bound, as a correction would write it."""
    p = many_classes(m, k, seed)[1]
    p[0] = np.eye(k)[0] * (1 - 1e-15 * k) + 1e-15 if certain else p[0]
    rng = np.random.default_rng(seed)
    target, weight = rng.dirichlet(np.ones(k), m), rng.dirichlet(np.ones(m))
    log_a, limit = (x.ravel() for x in np.meshgrid([-2.4, 0, 1.1], [1.1, 3, 9, 40], indexing="ij"))
    found = SharpenedLoss.of(np.log(p), target, weight).at(log_a, np.zeros(12), limit)
    for a, at, loss in zip(log_a, limit, found, strict=True):
        table = softmax(np.exp(a) * np.log(p), axis=1)
        bound = 1 / (1 + np.exp(at))
        table = clip_probabilities(table, bound, 1 - bound) if at < 40 else table
        assert loss == pytest.approx(-(np.log(table) * target).sum(axis=1) @ weight, rel=1e-11)


def test_the_rising_curve_is_that_of_scikit_learn_between_its_ends():
    y, p = two_classes(400, 1)
    p[:40] = p[40]  # ties
    new = two_classes(300, 2)[1]
    peer = IsotonicRegression(out_of_bounds="clip").fit(log_odds(p), y)
    expected = np.clip(peer.predict(log_odds(new)), 1 / 402, 401 / 402)
    ours = fit_isotonic(y, p).apply(new)
    # scikit-learn drops points inside a level, between which it interpolates alike
    np.testing.assert_allclose(ours[:, 1], expected, atol=1 / 402)
    assert np.median(np.abs(ours[:, 1] - expected)) < 1e-9


@settings(max_examples=15, deadline=None)
@given(tables())
def test_every_correction_returns_probabilities_that_are_not_certain(table: Table):
    y, p = table
    for found in fit_corrections(y, p).values():
        corrected = found.fitted.apply(p)
        assert corrected.shape == p.shape and corrected.dtype == np.float64
        assert np.abs(corrected.sum(axis=1) - 1).max() < 1e-12
        assert 0 < corrected.min() and corrected.max() < 1
        assert np.isfinite(found.log_loss)


@settings(max_examples=15, deadline=None)
@given(tables(2))
def test_no_correction_turns_the_order_of_two_classes(table: Table):
    y, p = table
    order = np.argsort(p[:, 1], kind="stable")
    fits = [one.fitted for one in fit_corrections(y, p).values()]
    for fitted in [*fits, fit_isotonic(y, p)]:
        assert (np.diff(fitted.apply(p)[order, 1]) >= -1e-12).all()
    assert fit_isotonic(y, p).apply(p).min() >= 1 / (len(y) + 2) - 1e-12


@pytest.mark.parametrize("table", [two_classes(200), many_classes(100)])
def test_what_a_record_keeps_is_the_same_correction(table):
    y, p = table
    fits = [one.fitted for one in fit_corrections(y, p).values()]
    if p.shape[1] == 2:
        fits.append(fit_isotonic(y, p))
    for fitted in fits:
        again = FittedCorrection.from_summary(json.loads(json.dumps(fitted.summary())))
        assert again == fitted
        np.testing.assert_array_equal(again.apply(p), fitted.apply(p))
    for bad in (None, {}, {"name": "clip", "strange": 1}):
        with pytest.raises(UserError, match="no readable correction"):
            FittedCorrection.from_summary(bad)


def test_before_its_bounds_it_is_the_same_but_for_them():
    y, p = two_classes(300)
    for found in fit_corrections(y, p).values():
        before = found.fitted.before_bounds(p)
        limited = clip_probabilities(before, *found.fitted.bounds_of(before))
        np.testing.assert_array_equal(found.fitted.apply(p), limited)
