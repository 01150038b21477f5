"""The cache that all sessions share: one computation a value, the oldest goes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from dashboard.shared.cache import cached


def test_a_value_is_computed_once_also_for_several_threads() -> None:
    calls, begun, go_on = [], Event(), Event()

    @cached(8)
    def half(x: int) -> float:
        calls.append(x)
        begun.set()
        assert go_on.wait(5)
        return x / 2

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(half, 7)
        assert begun.wait(5)
        others = [pool.submit(half, 7) for _ in range(2)]
        go_on.set()
        assert [each.result(5) for each in (first, *others)] == [3.5] * 3
    assert calls == [7]


def test_the_value_asked_for_longest_ago_goes_and_underscores_tell_nothing_apart() -> None:
    calls = []

    @cached(2)
    def upper(key: str, _all: list[str]) -> str:
        calls.append(key)
        return key.upper()

    for key in ("a", "b", "a", "c", "a", "b"):
        assert upper(key, [key]) == key.upper()
    assert calls == ["a", "b", "c", "b"]


def test_an_error_is_not_kept() -> None:
    answers = iter(("", "3"))

    @cached(1)
    def number(_: str) -> int:
        return int(next(answers))

    with pytest.raises(ValueError, match="invalid literal"):
        number("")
    assert (number(""), number("")) == (3, 3)
