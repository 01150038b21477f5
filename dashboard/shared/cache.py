"""Keeps values that all sessions share, by their arguments.

A page asks dozens of times in a run; Streamlit's own cache hashes the text of every argument.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from threading import Lock
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def cached(most: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that keeps the last values of a function, the same for every session.

    Arguments are given by position and can be hashed, except those whose names begin with an
    underscore: they do not tell values apart. Of several threads that ask for the same value, one
    computes it. What is kept is never changed by who gets it.

    Parameters
    ----------
    most : values that are kept

    Examples
    --------
    >>> calls = []
    >>> @cached(2)
    ... def square(x, _log):
    ...     _log.append(x)
    ...     return x * x
    >>> square(3, calls), square(3, calls), calls
    (9, 9, [3])
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        names = list(inspect.signature(function).parameters)
        telling = [i for i, name in enumerate(names) if not name.startswith("_")]
        values: OrderedDict[Hashable, R] = OrderedDict()
        computing: dict[Hashable, Lock] = {}
        lock = Lock()

        @wraps(function)
        def asked(*args: P.args, **kwargs: P.kwargs) -> R:
            assert not kwargs, "arguments are given by position"
            key = tuple([args[i] for i in telling])
            with lock:
                if key in values:
                    values.move_to_end(key)
                    return values[key]
                mine = computing.setdefault(key, Lock())
            with mine:
                with lock:
                    if key in values:
                        return values[key]
                try:
                    value = function(*args, **kwargs)
                    with lock:
                        values[key] = value
                        while len(values) > most:
                            values.popitem(last=False)
                finally:
                    with lock:
                        computing.pop(key, None)
                return value

        return asked

    return decorate
