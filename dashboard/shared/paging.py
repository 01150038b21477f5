"""The pages of the image gallery: their number and their rows."""

from __future__ import annotations

import numpy as np

PER_PAGE = 48
PAGER_WIDTH = 250  # pixels; with less, the switch shows only the current page


def page_count(n: int, per_page: int = PER_PAGE) -> int:
    """Return the number of pages for ``n`` images, at least 1."""
    return max(1, -(-n // per_page))


def page_of(order: np.ndarray, number: int, per_page: int = PER_PAGE) -> np.ndarray:
    """Return the part of ``order`` on a page; pages are counted from 1."""
    return order[(number - 1) * per_page : number * per_page]
