"""Computes the parts of a large table in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")
_LARGE = 100_000  # values; fewer are computed before it pays to start threads


def over_parts(work: Callable[[P], R], parts: Iterable[P], values: int) -> list[R]:
    """Return what ``work`` makes of each part, in order; in threads if there are many values.

    Parameters
    ----------
    work : a function that spends its time in NumPy
    values : number of values in all parts

    Examples
    --------
    >>> over_parts(abs, [-1, 2], values=2)
    [1, 2]
    """
    if values < _LARGE:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, parts))
