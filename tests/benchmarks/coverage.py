"""Intervals and the recommended correction, against the truth of known populations."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from engine.analysis.intervals import (
    effective_counts,
    loss_interval,
    proportion_interval,
    turned_loss,
)
from engine.analysis.metrics import log_loss, mean_interval, per_sample_log_loss
from engine.analysis.recommendation import compare_corrections
from tests.benchmarks.material import REAL_DATA
from tests.benchmarks.report import machine, table
from tests.support.populations import Population, populations

TITLE = "Intervals and the recommended correction, against the truth"
SIZES = (50, 200, 370, 1000, 2000)
DRAWS, DRAWS_BEFORE = 400, 40
DECIDED_SIZES, DECISIONS = (50, 200, 370), 40
Interval = Callable[[np.ndarray, np.ndarray, np.ndarray | None], tuple[float, float]]


@dataclass(frozen=True)
class Covered:
    """How often an interval holds the truth, and its mean width."""

    share: float
    width: float


def accuracy_now(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    return proportion_interval(*effective_counts(p.argmax(axis=1) == y, groups))


def accuracy_before(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    return mean_interval(p.argmax(axis=1) == y)


def loss_now(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    return loss_interval(per_sample_log_loss(y, p), turned_loss(y, p), groups)


def loss_before(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    return mean_interval(per_sample_log_loss(y, p), n_resamples=200)


def coverage(
    population: Population, truth: float, interval: Interval, n: int, draws: int, seed: int = 0
) -> Covered:
    """Return how often the interval of n images holds the truth of all."""
    rng = np.random.default_rng((seed, n))
    ends = np.array([interval(*population.draw(n, rng)) for _ in range(draws)])
    held = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    return Covered(float(held.mean()), float(np.diff(ends, axis=1).mean()))


def decision(population: Population, n: int, draws: int, seed: int = 0) -> np.ndarray:
    """Return the true log loss after what is recommended on n images, of each draw."""
    rng = np.random.default_rng((seed, n))
    y, p = population.y, population.p
    losses = [log_loss(y, p)]
    for _ in range(draws):
        labels, probabilities, groups = population.draw(n, rng)
        with suppress(ValueError):  # fewer than ten groups
            fitted = compare_corrections(labels, probabilities, groups=groups).chosen
            losses.append(log_loss(y, fitted.apply(p)))
    return np.array(losses)


def _decided(population: Population, n: int) -> str:
    raw, *after = decision(population, n * population.copies, DECISIONS)
    return f"{raw:.4f} {np.mean(after) - raw:+.4f}, worst {max(after) / raw:.2f}"


def measure() -> str:
    """Measure everything and return the section."""
    file = REAL_DATA / "dogs-vs-cats" / "out_of_fold.parquet"
    made = populations(file)
    said = [machine(("numpy", "scipy")), _HOW, _INTERVALS]
    decided = []
    rows = []
    for name, make in made.items():
        population = make()
        decided.append([name, *(_decided(population, n) for n in DECIDED_SIZES)])
        hits = population.p.argmax(axis=1) == population.y
        for what, truth, now, before in (
            ("accuracy", float(hits.mean()), accuracy_now, accuracy_before),
            ("log loss", float(population.losses.mean()), loss_now, loss_before),
        ):
            cells = []
            for n in SIZES:
                new = coverage(population, truth, now, n, DRAWS)
                old = coverage(population, truth, before, n, DRAWS_BEFORE)
                cells.append(f"{old.share:.2f} {old.width:.3f} → {new.share:.3f} {new.width:.3f}")
            rows.append([f"{what}, {name} ({truth:.4f})", *cells])
    said.append(table(["", *(f"n = {n:,}" for n in SIZES)], rows))
    said += [_DECISION, table(["", *(f"n = {n:,}" for n in DECIDED_SIZES)], decided)]
    return "\n\n".join(said)


_HOW = """Sets of n labelled images are drawn from 25,000 whose truth is known: Redux out of fold
(or, where the file is not there, numbers much like it); its log odds doubled; tripled, with one
label in 200 turned; errors as confident as the rest at 99.85 % accuracy; calibrated at 90 %; ten
classes; each image in five copies, which are groups; one positive in 100, from a model that was
fitted to as many of one class as of the other (`tests/support/populations.py`)."""
_DECISION = f"""The true log loss without a correction, its mean change by the one that is
recommended on n images (groups, where images are copies), and the worst of {DECISIONS} sets as a
multiple."""
_INTERVALS = f"""Coverage and mean width of the 95 % intervals: the bootstrap that was used before
(200 resamples, {DRAWS_BEFORE} sets) → the interval that is used now ({DRAWS:,} sets)."""
