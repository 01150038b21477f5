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
    unseen_error_loss,
)
from engine.analysis.metrics import log_loss, mean_interval, per_sample_log_loss
from engine.analysis.recommendation import compare_corrections
from tests.benchmarks.material import REAL_DATA
from tests.benchmarks.report import machine, table
from tests.support.populations import Population, constant, populations

TITLE = "Intervals and the recommended correction, against the truth"
SIZES = (50, 200, 370, 1000, 2000)
DRAWS, DRAWS_BEFORE = 300, 30
DECISIONS = {50: 100, 200: 60, 370: 80, 2000: 20}  # images, and sets of so many
DECIDED_ON = 5000  # images of each population, which are its truth
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
    return loss_interval(per_sample_log_loss(y, p), unseen_error_loss(y, p), groups)


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


@dataclass(frozen=True, eq=False)
class Decision:
    """The true log loss after corrections that were fitted to n images, of each draw.

    Attributes
    ----------
    raw : the true log loss without correction
    recommended : float64 array of shape (draws,), after the recommended correction
    each : name of a correction to its mean
    """

    raw: float
    recommended: np.ndarray
    each: dict[str, float]

    @property
    def regret(self) -> float:
        """Return the mean excess over the single best correction, as a share of the loss."""
        best = min(self.raw, *self.each.values())
        return (float(self.recommended.mean()) - best) / best


def decision(population: Population, n: int, draws: int, seed: int = 0) -> Decision:
    """Return what corrections that were fitted to n images do to the log loss of all."""
    rng = np.random.default_rng((seed, n))
    y, p = population.y, population.p
    recommended, each = [], []
    for _ in range(draws):
        labels, probabilities, groups = population.draw(n, rng)
        with suppress(ValueError):  # fewer than ten groups
            compared = compare_corrections(labels, probabilities, groups=groups)
            each.append({k: log_loss(y, one.apply(p)) for k, one in compared.fitted.items()})
            recommended.append(each[-1][compared.recommended])
    means = {k: float(np.mean([one[k] for one in each])) for k in each[0]} if each else {}
    return Decision(log_loss(y, p), np.array(recommended), means)


def _decided(population: Population, n: int, draws: int) -> str:
    found = decision(population, n * population.copies, draws)
    change = found.recommended.mean() - found.raw
    error = found.recommended.std() / np.sqrt(len(found.recommended))
    return (
        f"{found.raw:.4f} {change:+.4f} ± {error:.4f}, regret {found.regret:.1%}, "
        f"worst {found.recommended.max() / found.raw:.2f}"
    )


def _some(population: Population) -> Population:
    rows = np.random.default_rng(6).permutation(len(population.y))[:DECIDED_ON]
    return Population(population.y[rows], population.p[rows], population.copies)


def measure() -> str:
    """Measure everything and return the section."""
    file = REAL_DATA / "dogs-vs-cats" / "out_of_fold.parquet"
    made = {**populations(file), "constant": constant}
    said = [machine(("numpy", "scipy")), _HOW, _INTERVALS]
    decided = []
    rows = []
    for name, make in made.items():
        population = make()
        some = _some(population)
        decided.append([name, *(_decided(some, *each) for each in DECISIONS.items())])
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
    heads = (f"n = {n:,}, {draws:,} sets" for n, draws in DECISIONS.items())
    said += [_DECISION, table(["", *heads], decided)]
    return "\n\n".join(said)


_HOW = """Sets of n labelled images are drawn from 25,000 whose truth is known: Redux out of fold
(or, where the file is not there, numbers much like it); its log odds doubled; tripled, with one
label in 200 turned; errors as confident as the rest at 99.85 % accuracy; calibrated at 90 %; ten
classes; each image in five copies, which are groups; one positive in 100, from a model that was
fitted to as many of one class as of the other; and one in 100 from a model that says 0.01 of each
image (`tests/support/populations.py`)."""
_DECISION = f"""Of {DECIDED_ON:,} images of each population: the true log loss without a
correction, its mean change by the one that is recommended on n images (groups, where images are
copies) with its standard error; its excess over the single correction that is best on average
(regret); and the worst of all sets as a multiple."""
_INTERVALS = f"""Coverage and mean width of the 95 % intervals: the bootstrap that was used before
(200 resamples, {DRAWS_BEFORE} sets) → the interval that is used now ({DRAWS:,} sets)."""
