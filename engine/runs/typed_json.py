"""Converts frozen dataclasses to JSON objects and back; errors name the key."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from engine.errors import UserError

T = TypeVar("T")
_NOUNS: dict[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false",
    type(None): "null",
}  # fmt: skip


def key_of(field: Field[Any]) -> str:
    """Return the JSON key of a field: ``key`` of its metadata, else its name."""
    return str(field.metadata.get("key", field.name))


def from_json(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Return a dataclass made of a JSON object; unknown keys are left out.

    Parameters
    ----------
    kind
        A dataclass of str, int, float, bool, None, Any, unions of these, ``tuple[X, ...]``,
        ``tuple[X, Y]``, ``dict[str, X]`` and dataclasses.
    where
        The file, and the key in it, for the error.

    Raises
    ------
    UserError
        When a value is of another type, a number is not finite, or a required key is missing.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Size:
    ...     width: int
    ...     height: int = 1
    >>> from_json(Size, {"width": 3, "depth": 2}, "size.json")
    Size(width=3, height=1)
    """
    assert is_dataclass(kind)
    hints = _hints(kind)
    made: dict[str, Any] = {}
    for field in fields(kind):
        key = key_of(field)
        if key in values:
            made[field.name] = _read(hints[field.name], values[key], f"{where}{key}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"{where}{key} is missing.")
    result: T = kind(**made)
    return result


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)  # takes as long as the rest of a config together


def to_json(value: Any) -> Any:
    """Return a dataclass, or a value of one of its fields, as plain JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key_of(field): to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    return value


def _read(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if get_origin(hint) in (Union, types.UnionType):
        return _read(_member(get_args(hint), value, where), value, where)
    if is_dataclass(hint) and isinstance(value, Mapping):
        assert isinstance(hint, type)
        return from_json(hint, value, f"{where}.")
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple and isinstance(value, list):
        if inner[-1] is ...:
            return tuple(_read(inner[0], each, f"{where}[{i}]") for i, each in enumerate(value))
        if len(inner) == len(value):
            pairs = zip(inner, value, strict=True)
            return tuple(_read(each, part, f"{where}[{i}]") for i, (each, part) in enumerate(pairs))
    if origin is dict and isinstance(value, Mapping):
        return {key: _read(inner[1], each, f"{where}[{key!r}]") for key, each in value.items()}
    if origin is None and _is_a(hint, value):
        return float(value) if hint is float else value
    raise UserError(f"{where} should be {_noun(hint)}, not {_shortened(value)}.")


def _member(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    """Return the member of a union that a value belongs to."""
    found = next((hint for hint in hints if _is_a(hint, value)), None)
    if found is None:
        nouns = " or ".join(_noun(hint) for hint in hints)
        raise UserError(f"{where} should be {nouns}, not {_shortened(value)}.")
    return found


def _is_a(hint: Any, value: Any) -> bool:
    """Tell whether a value is of a type, whatever lies within it."""
    if hint is Any:
        return True
    if hint is float:
        return type(value) is int or (isinstance(value, float) and math.isfinite(value))
    if hint is int:
        return type(value) is int
    if get_origin(hint) is tuple:
        return isinstance(value, list)
    if get_origin(hint) is dict or is_dataclass(hint):
        return isinstance(value, Mapping)
    return isinstance(value, hint)


def _noun(hint: Any) -> str:
    if hint in _NOUNS:
        return _NOUNS[hint]
    if get_origin(hint) is not tuple:
        return "an object"
    inner = get_args(hint)
    return "a list" if inner[-1] is ... else f"a list of {len(inner)}"


def _shortened(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:59]}…"
