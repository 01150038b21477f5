"""Parses untrusted JSON: limited depth, no infinite numbers, no lone surrogates."""

from __future__ import annotations

import json
import math
from typing import Any

MOST_DEEP = 64
_LARGEST = 2**63


class _Refused(Exception):
    """A value that is refused, and where it lies, innermost key first."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.keys: list[str] = []


def loads(content: bytes, *, strict: bool = True) -> Any:
    """Return the value of a JSON text in UTF-8.

    Parameters
    ----------
    strict
        Whether NaN, infinity and lone surrogates are refused.

    Raises
    ------
    ValueError
        When it is not JSON, is nested more than 64 deep, or holds a number beyond 64 bits or text
        that is not Unicode; the message is the end of a sentence.

    Examples
    --------
    >>> loads(b'{"n": [1, 2.5]}')
    {'n': [1, 2.5]}
    >>> loads(b'{"score": {"loss": Infinity}}')
    Traceback (most recent call last):
    ...
    ValueError: score.loss should be a number below 2^63, not inf
    """
    try:
        value = json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise ValueError(f"it is nested more than {MOST_DEEP} deep") from error
    except ValueError as error:
        raise ValueError("it is not valid JSON") from error
    try:
        _check(value, MOST_DEEP, strict)
    except _Refused as error:
        where = ".".join(reversed(error.keys))[:200] or "it"
        raise ValueError(error.reason.format(where=where)) from None
    return value


def _check(value: Any, depth: int, strict: bool) -> None:
    if isinstance(value, str):
        _check_text(value, strict)
    elif isinstance(value, float):
        if strict and not math.isfinite(value):
            raise _Refused(f"{{where}} should be a number below 2^63, not {value}")
    elif isinstance(value, int):
        if not -_LARGEST <= value < _LARGEST:
            raise _Refused("{where} should be a number below 2^63")
    elif isinstance(value, dict):
        for key, each in value.items():
            _check_text(key, strict)
            _check_inner(key, each, depth, strict)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _check_inner(index, each, depth, strict)


def _check_inner(key: str | int, value: Any, depth: int, strict: bool) -> None:
    if not depth:
        raise _Refused(f"it is nested more than {MOST_DEEP} deep")
    try:
        _check(value, depth - 1, strict)
    except _Refused as error:
        error.keys.append(str(key))
        raise


def _check_text(text: str, strict: bool) -> None:
    try:
        if strict and not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise _Refused("{where} holds half a character") from None
