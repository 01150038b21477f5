"""The statements that are no single mean: gains, bounds, comparisons, blends, drops, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from engine.analysis.blending import blend, blend_weights
from engine.analysis.bounds import bootstrap_best_symmetric, default_bounds
from engine.analysis.class_scores import class_scores
from engine.analysis.clip_loss import clip_loss
from engine.analysis.compare import compare
from engine.analysis.estimated_drop import estimated_drop
from engine.analysis.joined import join
from engine.analysis.label_edit_effect import change_on_fixed_labels
from engine.analysis.metrics import log_loss, true_class_probability
from engine.analysis.pools import MEAN, log_odds_pool
from engine.analysis.recommendation import compare_corrections
from engine.analysis.shift import shifted_loss
from engine.runs.predictions import Predictions, make_predictions
from tests.benchmarks.material import REAL_DATA
from tests.benchmarks.report import machine, table
from tests.support.populations import Population, populations

TITLE = "Gains, bounds, comparisons and drops, against the truth"
SIZES = (50, 200, 370)
GAINS, DRAWS = 30, 150
Ends = tuple[float, float, float]  # both ends of an interval, and the truth
NAMES = ("cat", "dog")


def predictions(y: np.ndarray, p: np.ndarray) -> Predictions:
    ids = [f"{k:06}" for k in range(len(y))]
    return make_predictions(ids, ids, y, p, NAMES)


def gains(population: Population, n: int, rng: np.random.Generator) -> Iterator[Ends]:
    """The gain of each correction that is fitted to n images, those of the table on Clip."""
    raw = log_loss(population.y, population.p)
    y, p, groups = population.draw(n * population.copies, rng)
    for one in compare_corrections(y, p, groups=groups).scored[1:]:
        yield *one.gain.interval, log_loss(population.y, one.fitted.apply(population.p)) - raw


def bounds(population: Population, n: int, rng: np.random.Generator) -> Iterator[Ends]:
    """The range of bounds that are as good as the best; the truth is the best of the population."""
    tried = np.concatenate([[0.0], default_bounds(2)])
    loss = clip_loss(population.y, population.p)
    best = float(tried[loss.estimate(tried, 1 - tried).argmin()])
    y, p, _ = population.draw(n, rng)
    yield *bootstrap_best_symmetric(y, p).interval, best


def classes(population: Population, n: int, rng: np.random.Generator) -> Iterator[Ends]:
    """Precision and recall of each class."""
    names = tuple(map(str, range(population.p.shape[1])))
    truth = class_scores(population.y, population.p.argmax(axis=1), names)
    y, p, groups = population.draw(n, rng)
    for own, true in zip(class_scores(y, p.argmax(axis=1), names, groups), truth, strict=True):
        for ends, value in (
            (own.precision_interval, true.precision), (own.recall_interval, true.recall)
        ):  # fmt: skip
            if ends is not None and value is not None:
                yield *ends, value


def drop(population: Population, n: int, rng: np.random.Generator) -> Iterator[Ends]:
    """A drop of one point, learned from the score of a submission on 5,000 test images."""
    y, p, _ = population.draw(n, rng)
    y_test, p_test, _ = population.draw(5000, rng)
    right = np.flatnonzero(p_test.argmax(axis=1) == y_test)
    turned = right[rng.random(len(right)) < 0.01 / np.mean(population.p.argmax(1) == population.y)]
    y_test[turned] = 1 - y_test[turned]
    score = log_loss(y_test, np.clip(p_test, 0.01, 0.99))
    found = estimated_drop(y, p, shifted_loss(y, p, 0.0), [(0.01, 0.99, score)], 5000)
    assert found is not None
    yield *found.interval, 1.0


def blends(population: Population, n: int, rng: np.random.Generator) -> Iterator[Ends]:
    """The gain of a blend with a second model, whose log odds differ by noise, over the better."""
    noisy = _noisy(population, 1.5)
    rows = np.repeat(rng.integers(len(population.y), size=n), population.copies)
    groups = np.repeat(np.arange(n), population.copies)
    pair = [predictions(population.y[rows], p[rows]) for p in (population.p, noisy)]
    found = blend(join(pair), groups=groups)
    tables = [predictions(population.y, p) for p in (population.p, noisy)]
    single = log_loss(population.y, (population.p, noisy)[found.best])
    truth = single - log_loss(population.y, found.pool.probabilities(tables))
    yield *found.gain[1:], truth


def weights(population: Population, n: int, rng: np.random.Generator) -> Iterator[Ends]:
    """The range of weights as good as the best, of two models whose log odds differ by noise."""
    pair = [_noisy(population, noise) for noise in (1.5, 2.0)]
    tables = [predictions(population.y, p) for p in pair]
    rows = rng.integers(len(population.y), size=n)
    found = blend(join([predictions(population.y[rows], p[rows]) for p in pair]))
    if found.pool.kind == MEAN:
        chances = [true_class_probability(population.y, p) for p in pair]
        true = blend_weights(np.column_stack(chances))
    else:
        true = log_odds_pool(tables).weights
    yield *found.weight_ranges[0].tolist(), float(true[0])


def verdicts(_: Population, n: int, rng: np.random.Generator) -> Iterator[Ends]:
    """The effect of a refit in which 5 of 400 labels were corrected, on n images."""
    weights = rng.normal(size=20)
    x = rng.normal(size=(20_000, 20))
    y = (rng.random(20_000) < expit(x @ weights)).astype(int)
    given, rows = y[:400].copy(), rng.permutation(400)
    given[rows[:5]] = 1 - given[rows[:5]]
    before, after = (
        LogisticRegression(C=0.3).fit(x[at], labels[at]).predict_proba(x)
        for labels, at in ((given, rows[:360]), (y, rows[40:]))  # each leaves out other images
    )
    tested = slice(400, 400 + n)
    found = change_on_fixed_labels(
        predictions(y[tested], before[tested]), predictions(y[tested], after[tested]), y[tested]
    )
    assert found is not None
    rest = slice(400, None)
    truth = log_loss(y[rest], before[rest]) - log_loss(y[rest], after[rest])
    yield found.low, found.high, truth


def called_better(own: Population, other: np.ndarray, n: int, draws: int) -> tuple[float, float]:
    """Return how often the first and how often the other model is called better."""
    rng = np.random.default_rng(n)
    found = []
    for _ in range(draws):
        rows = rng.integers(len(own.y), size=n)
        pair = [predictions(own.y[rows], p[rows]) for p in (own.p, other)]
        found.append(compare(*pair).better)
    return found.count(0) / draws, found.count(1) / draws


def _noisy(population: Population, noise: float) -> np.ndarray:
    """Return the probabilities of a model that is worse: its log odds have noise."""
    z = np.log(population.p[:, 1] / population.p[:, 0])
    z = z + np.random.default_rng(8).normal(0, noise, len(z))
    return np.column_stack([expit(-z), expit(z)])


def _sharp(population: Population) -> np.ndarray:
    """Return more confident probabilities of the same log loss."""
    z = np.log(population.p[:, 1] / population.p[:, 0])
    factors = np.linspace(1.05, 6, 300)
    p = [np.column_stack([expit(-f * z), expit(f * z)]) for f in factors]
    losses = np.array([log_loss(population.y, one) for one in p])
    return p[int(np.abs(losses - log_loss(population.y, population.p)).argmin())]


def _calm(population: Population) -> Population:
    z = 0.6 * np.log(population.p[:, 1] / population.p[:, 0])
    return Population(population.y, np.column_stack([expit(-z), expit(z)]))


Statement = Callable[[Population, int, np.random.Generator], Iterator[Ends]]
STATEMENTS: tuple[tuple[str, Statement, tuple[str, ...], int], ...] = (
    ("gain of a correction", gains,
     ("Redux", "log odds doubled", "heavy tails", "99.85 % accurate", "90 % accurate"), GAINS),
    ("bounds as good as the best", bounds,
     ("Redux", "log odds doubled", "heavy tails", "99.85 % accurate"), DRAWS),
    ("precision and recall", classes, ("Redux", "few positives", "ten classes"), DRAWS),
    ("learned drop of 1 point", drop, ("Redux", "90 % accurate"), DRAWS),
    ("gain of a blend", blends, ("Redux", "90 % accurate", "five copies"), GAINS),
    ("weights as good as the best", weights, ("Redux", "90 % accurate"), GAINS),
    ("effect of verdicts", verdicts, ("90 % accurate",), DRAWS),
)  # fmt: skip


def covered(statement: Statement, population: Population, n: int, draws: int) -> tuple[float, int]:
    """Return the share of intervals that hold the truth, and how many there are."""
    rng = np.random.default_rng((1, n))
    ends = np.array([one for _ in range(draws) for one in statement(population, n, rng)])
    slack = 1e-9  # a range of bounds begins at a grid point
    held = (ends[:, 0] <= ends[:, 2] + slack) & (ends[:, 2] <= ends[:, 1] + slack)
    return float(held.mean()), len(ends)


def measure() -> str:
    """Measure everything and return the section."""
    made = populations(REAL_DATA / "dogs-vs-cats" / "out_of_fold.parquet")
    rows = []
    for title, statement, names, draws in STATEMENTS:
        for name in names:
            found = [covered(statement, made[name](), n, draws) for n in SIZES]
            where = "" if statement is verdicts else f", {name}"
            rows.append([title + where, *(f"{share:.3f} of {k:,}" for share, k in found)])
    redux = made["Redux"]()
    calm = _calm(redux)
    pairs = (
        ("a calm and a sharp model of the same log loss", calm, _sharp(calm)),
        ("Redux and the same with noisy log odds", redux, _noisy(redux, 2.0)),
    )
    called = []
    for title, own, other in pairs:
        losses = f"{log_loss(own.y, own.p):.4f}, {log_loss(own.y, other):.4f}"
        shares = [called_better(own, other, n, DRAWS) for n in SIZES]
        called.append([f"{title} ({losses})", *(f"{a:.2f}, {b:.2f}" for a, b in shares)])
    head = ["", *(f"n = {n:,}" for n in SIZES)]
    parts = machine(("numpy", "scipy")), _HOW, table(head, rows), _BETTER, table(head, called)
    return "\n\n".join(parts)


_HOW = """Share of the 95 % intervals that hold the truth, which is that of all 25,000 images; of a
gain, that of the very correction or blend that was fitted to the n images, on all others."""
_BETTER = f"""How often `compare` calls the first and the second model better ({DRAWS} sets); in
brackets their true log losses."""
