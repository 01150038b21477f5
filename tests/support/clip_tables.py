"""Tables of labels and probabilities that the tests of clipping and of its bounds share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

P = st.one_of(st.sampled_from([0.0, 1e-17, 1e-9, 0.025, 0.5, 0.975, 1.0]), st.floats(0, 1))


def two_classes(n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and over-confident probabilities, 5 % of them confidently wrong."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 2, n)
    logit = (
        np.where(y_true == 1, 1, -1) * rng.normal(6, 2, n) * rng.choice([1, -1], n, p=[0.95, 0.05])
    )
    p = 1 / (1 + np.exp(-logit))
    return y_true, np.column_stack([1 - p, p])


def many_classes(n: int = 600, n_classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, n_classes, n)
    logits = rng.normal(0, 2, (n, n_classes))
    logits[np.arange(n), y_true] += np.where(rng.random(n) < 0.08, -5, 9)
    weights = np.exp(logits)
    return y_true, weights / weights.sum(axis=1, keepdims=True)


@st.composite
def tables(draw: st.DrawFn, n_classes: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    k = n_classes or draw(st.integers(2, 5))
    rows = st.lists(P, min_size=k, max_size=k).filter(lambda row: sum(row) > 1e-3)
    weights = np.array(draw(st.lists(rows, min_size=1, max_size=20)))
    labels = [draw(st.integers(0, k - 1)) for _ in weights]
    return np.array(labels), weights / weights.sum(axis=1, keepdims=True)
