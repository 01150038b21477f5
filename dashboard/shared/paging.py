"""How many images a page of the Errors gallery holds, and which they are."""

from __future__ import annotations

import numpy as np

PER_PAGE = 48


def page_count(n: int, per_page: int = PER_PAGE) -> int:
    """Return how many pages ``n`` images take, at least 1."""
    return max(1, -(-n // per_page))


def page_of(order: np.ndarray, number: int, per_page: int = PER_PAGE) -> np.ndarray:
    """Return what of ``order`` is on a page, counted from 1."""
    return order[(number - 1) * per_page : number * per_page]
