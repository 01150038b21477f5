"""Converts labels and probabilities from any framework to checked NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import UserError, first_ten

ROUNDED_SUM = 2**-8  # bfloat16's rounding; rows that are off by less are normalised


def checked(
    y_true: Any, probabilities: Any, groups: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return labels, probabilities and groups as arrays of consistent shapes.

    Returns
    -------
    y_true : int64 array of shape (n,)
    probabilities : float64 array of shape (n, n_classes), rows sum to 1
    groups : int64 array of shape (n,), numbered from 0, or None

    Raises
    ------
    UserError
        When one cannot be used; the message names the argument.
    """
    p = checked_probabilities(probabilities)
    y = _labels(y_true, *p.shape)
    if groups is None:
        return y, p, None
    names = as_array("groups", groups)
    if names.shape != (len(p),):
        raise _misshapen("groups", f"({len(p)},), one name or number per image", names)
    if any(name is None or name != name for name in names.tolist()):
        raise UserError("holds a missing value; give every image a group.", option="groups")
    numbers = np.unique(names.astype(str) if names.dtype == object else names, return_inverse=True)
    return y, p, np.asarray(numbers[1], dtype=np.int64)


def checked_probabilities(probabilities: Any, n_classes: int | None = None) -> np.ndarray:
    """Return probabilities as a float64 array of shape (n, n_classes) whose rows sum to 1.

    An array of shape (n,) holds the probability of the second of two classes.

    Raises
    ------
    UserError
        If the values are not probabilities, or not of ``n_classes`` classes.
    """
    p = as_array("probabilities", probabilities)
    if p.ndim == 1 and n_classes in (None, 2) and p.dtype.kind in "bfiu":
        p = np.column_stack([1 - p.astype(np.float64), p])  # P(the second of two classes)
    wanted = "(n, n_classes)" if n_classes is None else f"(n, {n_classes})"
    if p.ndim != 2 or p.shape[1] < 2 or (n_classes is not None and p.shape[1] != n_classes):
        raise _misshapen("probabilities", wanted + ", one column per class", p)
    if not len(p):
        raise UserError("is empty; give one row per image.", option="probabilities")
    try:
        p = p.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise UserError("contains values that are not numbers.", option="probabilities") from error
    bad = ~np.isfinite(p).all(axis=1)
    if bad.any():
        raise _rows("probabilities", "NaN or infinity", bad)
    bad = np.asarray((p < 0).any(axis=1) | (p > 1).any(axis=1))
    if bad.any():
        raise _rows("probabilities", "a value outside 0 to 1", bad)
    sums = p.sum(axis=1, keepdims=True)
    bad = np.abs(sums[:, 0] - 1) > ROUNDED_SUM
    if bad.any():
        raise _rows("probabilities", "a sum other than 1", bad)
    return np.asarray(p / sums)


def as_array(name: str, values: Any) -> np.ndarray:
    """Return a list, array, pandas object or tensor as a NumPy array.

    Raises
    ------
    UserError
        When it is ragged, or NumPy cannot read it.
    """
    if hasattr(values, "detach"):  # a tensor of PyTorch, which need not be imported to be read
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values  # NumPy has no bfloat16
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise UserError(
            "cannot be read as an array; its rows differ in length.", option=name
        ) from error


def _labels(y_true: Any, n: int, n_classes: int) -> np.ndarray:
    y = as_array("y_true", y_true)
    if y.shape != (n,):
        raise _misshapen("y_true", f"({n},), as probabilities has {n:,} rows", y)
    if y.dtype.kind in "US" or (y.dtype == object and all(isinstance(v, str) for v in y)):
        return _named(y, n_classes)
    if y.dtype.kind not in "biuf" or (y.dtype.kind == "f" and not (y == np.rint(y)).all()):
        raise UserError(
            "must hold class indices, whole numbers that name a column of probabilities.",
            option="y_true",
        )
    bad = np.asarray((y < 0) | (y >= n_classes))
    if bad.any():
        raise _rows("y_true", f"a label outside 0 to {n_classes - 1}", bad)
    return y.astype(np.int64)


def _named(y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the index of each class name, in sorted order as the columns are."""
    names, index = np.unique(y.astype(str), return_inverse=True)
    if len(names) != n_classes:
        raise UserError(
            f"names {len(names)} classes ({first_ten(names.tolist())}), and probabilities has "
            f"{n_classes} columns; give class indices.",
            option="y_true",
        )
    return np.asarray(index, dtype=np.int64)


def _misshapen(name: str, wanted: str, array: np.ndarray) -> UserError:
    return UserError(f"must have shape {wanted}, not {array.shape}.", option=name)


def _rows(name: str, what: str, bad: np.ndarray) -> UserError:
    rows = np.flatnonzero(bad)
    more = f" and {len(rows) - 10:,} more" if len(rows) > 10 else ""
    shown = ", ".join(map(str, rows[:10].tolist()))
    return UserError(
        f"has {what} in row{'s' if len(rows) > 1 else ''} {shown}{more} (the first is 0).",
        option=name,
    )
