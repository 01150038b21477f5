"""Sums over clipped probabilities from sorted tables, fast to repeat for new bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class SortedLosses:
    """The images of one true class, sorted by P(positive), and the running sum of their losses."""

    p: np.ndarray  # (m,)
    running: np.ndarray  # (m + 1,)

    @classmethod
    def of(cls, p: np.ndarray, losses: np.ndarray) -> SortedLosses:
        """Sort the images; both arrays have shape (m,)."""
        order = np.argsort(p)
        return cls(p[order], np.concatenate([[0.0], np.cumsum(losses[order])]))

    def total(
        self, lower: np.ndarray, upper: np.ndarray, at_lower: np.ndarray, at_upper: np.ndarray
    ) -> np.ndarray:
        """Return the sum of the losses if a clipped image has the loss ``at_...``."""
        below = self.p.searchsorted(lower, side="left")
        upto = self.p.searchsorted(upper, side="right")
        between = self.running[upto] - self.running[below]
        return np.asarray(below * at_lower + between + (len(self.p) - upto) * at_upper)


@dataclass(frozen=True, eq=False)
class SortedRows:
    """Rows of probabilities, each sorted, and the running sum of each row."""

    ascending: np.ndarray  # (m, n_classes)
    running: np.ndarray  # (m, n_classes + 1)

    @classmethod
    def of(cls, probabilities: np.ndarray) -> SortedRows:
        """Sort each row of probabilities of shape (m, n_classes)."""
        m, k = probabilities.shape
        ascending = np.sort(probabilities, axis=1)
        running = np.zeros((m, k + 1))
        np.cumsum(ascending, axis=1, out=running[:, 1:])
        return cls(ascending, running)

    def clipped_sums(self, lower: float, upper: float) -> np.ndarray:
        """Return the sum of each row after clipping its probabilities to the bounds, (m,)."""
        m, k = self.ascending.shape
        below = count_smaller(self.ascending, lower)
        if upper >= 0.5:  # at most one probability of a row lies above
            upto = k - (self.ascending[:, -1] > upper)
        else:
            upto = count_smaller(self.ascending, float(np.nextafter(upper, 1)))
        row = np.arange(m) * (k + 1)
        between = self.running.take(row + upto) - self.running.take(row + below)
        return np.asarray(below * lower + between + (k - upto) * upper)


def count_smaller(ascending: np.ndarray, value: float | np.ndarray) -> np.ndarray:
    """Return the number of values below ``value`` in each sorted row (m, k), by bisection.

    Parameters
    ----------
    ascending : float array of shape (m, k), sorted in each row
    value : a number, or an array of shape (..., m)

    Returns
    -------
    int64 array of shape (m,) or (..., m)
    """
    m, k = ascending.shape
    first = np.arange(m) * k
    count = np.zeros(np.broadcast_shapes(np.shape(value), (m,)), dtype=np.int64)
    for step in (1 << bit for bit in reversed(range(k.bit_length()))):
        longer = np.minimum(count + step, k)
        smaller = ascending.take(first + longer - 1) < value
        count = np.where(smaller, longer, count)
    return count
