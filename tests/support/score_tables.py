"""Calibrated probabilities and labels that the tests of metrics and of calibration share."""

from __future__ import annotations

import numpy as np


def table(n: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(n_classes, 0.4), size=n)
    y_true = np.array([rng.choice(n_classes, p=row) for row in probabilities])
    return y_true, probabilities
