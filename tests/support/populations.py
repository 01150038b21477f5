"""Populations of labelled predictions, from which simulations draw labelled sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.special import expit, softmax

SIZE = 25_000


@dataclass(frozen=True, eq=False)
class Population:
    """Labels, probabilities, and the group of each image where images come in copies."""

    y: np.ndarray
    p: np.ndarray
    copies: int = 1

    @property
    def losses(self) -> np.ndarray:
        return np.asarray(-np.log(np.clip(self.p[np.arange(len(self.y)), self.y], 2.2e-16, 1)))

    def draw(
        self, n: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return labels, probabilities and groups of n images."""
        rows = rng.integers(len(self.y), size=n // self.copies)
        groups = np.repeat(np.arange(len(rows)), self.copies) if self.copies > 1 else None
        rows = np.repeat(rows, self.copies)
        return self.y[rows], self.p[rows], groups


def populations(file: Path | None) -> dict[str, Callable[[], Population]]:
    """Return each population by name; of the file of Redux, or of numbers drawn much like it."""
    redux = cache(lambda: _redux(file))

    def scaled(factor: float) -> Population:
        y, z = redux()
        return _two(y, factor * z)

    def heavy() -> Population:
        y, z = redux()
        turned = np.random.default_rng(1).random(len(y)) < 0.005
        return _two(np.where(turned, 1 - y, y), 3 * z)

    def copies() -> Population:
        y, z = redux()
        return Population(y, _two(y, z).p, 5)

    return {
        "Redux": lambda: scaled(1),
        "log odds doubled": lambda: scaled(2),
        "heavy tails": heavy,
        "99.85 % accurate": _accurate,
        "90 % accurate": _hard,
        "ten classes": _ten,
        "five copies": copies,
        "few positives": _rare,
    }


def _two(y: np.ndarray, z: np.ndarray) -> Population:
    return Population(y, np.column_stack([expit(-z), expit(z)]))


def _redux(file: Path | None) -> tuple[np.ndarray, np.ndarray]:
    if file is not None and file.is_file():
        table = pq.read_table(file)
        y, p = (table[name].to_numpy() for name in ("is_dog", "p_dog"))
        return y.astype(int), np.log(p / (1 - p))
    rng = np.random.default_rng(0)
    z = rng.choice([-1, 1], SIZE) * np.abs(rng.normal(6.4, 2.6, SIZE))
    return (rng.random(SIZE) < expit(0.95 * z)).astype(int), z


def _accurate() -> Population:
    """Errors as confident as the rest, as wrong labels are."""
    rng = np.random.default_rng(2)
    y, margin = rng.integers(2, size=SIZE), rng.normal(8, 2, SIZE)
    turned = rng.random(SIZE) < 0.0015
    return _two(np.where(turned, 1 - y, y), np.where(y == 1, margin, -margin))


def _hard() -> Population:
    rng = np.random.default_rng(3)
    z = rng.choice([-1, 1], SIZE) * np.abs(rng.normal(3.2, 1.8, SIZE))
    return _two((rng.random(SIZE) < expit(z)).astype(int), z)


def _ten() -> Population:
    rng = np.random.default_rng(4)
    y, z = rng.integers(10, size=SIZE), rng.normal(0, 4, (SIZE, 10))
    z[np.arange(SIZE), y] += 17
    return Population(y, softmax(z, axis=1))


def constant() -> Population:
    """One image in 100 is positive, and the model says so of each image."""
    y = (np.random.default_rng(7).random(SIZE) < 0.01).astype(int)
    return _two(y, np.full(SIZE, np.log(0.01 / 0.99)))


def _rare() -> Population:
    """One image in 100 is positive; the model was fitted to as many of one class as the other."""
    rng = np.random.default_rng(5)
    y = (rng.random(SIZE) < 0.01).astype(int)
    return _two(y, np.where(y == 1, 2.5, -2.5) + rng.normal(0, 1.9, SIZE))
