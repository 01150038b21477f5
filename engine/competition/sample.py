"""Reads a sample file: which class each column stands for and which image each row stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.names import AMBIGUOUS, NONE, match_names
from engine.data.tables import is_number
from engine.errors import UserError, first_ten
from engine.runs.csv_text import names_and_stems, read_csv_text

Values = Literal["probability", "class"]


@dataclass(frozen=True)
class Form:
    """The meaning of a submission file's columns.

    Attributes
    ----------
    header : names of all columns, the id first
    kind : the kind of value: a class's probability, or the most likely class by name or by index
        ("other index": of two classes, 0 is the second)
    classes : class index of each value column; None where it is unknown
    fits : whether the meaning of every value column is known
    message : the meaning, or the problem, in one sentence
    """

    header: tuple[str, ...]
    kind: Literal["probability", "name", "index", "other index"]
    classes: tuple[int | None, ...]
    fits: bool
    message: str


def read_sample(sample: Path) -> tuple[tuple[str, ...], list[pa.StringArray]]:
    """Return the header and the first two columns as text.

    Raises
    ------
    UserError
        If the sample cannot be read, has no rows or no second column.
    """
    header, columns = read_csv_text(sample, first=2)
    if len(header) < 2:
        raise UserError(
            f"{sample} has only one column; a sample file needs ids and, after a comma, values."
        )
    if len(columns[0]) == 0:
        raise UserError(f"{sample} has no rows after its header; download it again.")
    return tuple(header), columns


def plain_form(classes: Sequence[str], positive: int) -> Form:
    """Return the form of a file without a sample: ``id,label``, or ``id`` and all classes."""
    if len(classes) == 2:
        return _one_probability(("id", "label"), classes, positive)
    return _one_a_class(("id", *classes), classes, tuple(range(len(classes))))


def sample_form(
    source: str,
    header: tuple[str, ...],
    columns: Sequence[pa.StringArray],
    classes: Sequence[str],
    positive: int,
    values: Values | None = None,
) -> Form:
    """Return the form of a file like the sample.

    A single value column holds P(class) if its name contains the name of one class, else
    P(positive). It holds the predicted class by name if the sample's values are class names or,
    with more than two classes, empty. With more than two classes and whole numbers in the sample,
    it holds the index of the class among the sorted names (or the name, if all class names are
    whole numbers). Several value columns each hold one probability and are matched to the classes
    by name. ``values`` chooses between probabilities and classes where the sample fits both.
    ``source`` names the file in messages.
    """
    if len(header) > 2:
        form = _several_columns(source, header, classes)
        if values == "class":
            message = f"{form.message} --values class does not apply to one column per class."
            return Form(header, form.kind, form.classes, False, message)
        return form
    found = set(pc.unique(pc.utf8_trim_whitespace(columns[1])).to_pylist()) - {""}
    numeric = all(map(is_number, found))
    if values == "class" and len(classes) == 2 and numeric:
        return _class_of_two(header, classes, positive)
    if values == "probability" and len(classes) > 2:
        message = (
            f"--values probability does not apply: {source} has one value column, {header[1]!r}, "
            f"and {len(classes)} classes."
        )
        return Form(header, "probability", (None,), False, message)
    if len(classes) == 2 and (numeric or values == "probability"):
        named = _class_in(header[1], classes)
        form = _one_probability(header, classes, positive if named is None else named)
        if found and found <= {"0", "1"} and values is None:
            said = f"{form.message} --values class writes the most likely class instead."
            return Form(form.header, form.kind, form.classes, form.fits, said)
        return form
    whole = all(map(_is_whole, found))
    if found <= set(classes) or (whole and all(map(_is_whole, classes))):
        message = f"{header[1]} is the name of the most likely class: {', '.join(classes)}."
        return Form(header, "name", (0,), True, message)
    if whole:
        names = ", ".join(f"{index} is {name}" for index, name in enumerate(classes))
        message = f"{header[1]} is the index of the most likely class, names sorted: {names}."
        return Form(header, "index", (0,), True, message)
    message = (
        f"{source} has one value column, {header[1]!r}, which cannot hold the probabilities of "
        f"{len(classes)} classes; use a sample with one column per class."
        if numeric
        else f"{source} holds {first_ten(sorted(found - set(classes)))} in column {header[1]!r}, "
        f"which is neither a number nor one of the classes {first_ten(list(classes))}."
    )
    return Form(header, "name", (None,), False, message)


def match_images(wanted: pa.StringArray, ids: pa.StringArray, paths: pa.StringArray) -> np.ndarray:
    """Return the position of each wanted id's image, ``NONE`` or ``AMBIGUOUS``, (n_rows,).

    An id is compared with the images' ids, then with their file names, then with their file names
    without extension, then with the ends of their paths; it matches only if exactly one image fits.
    """
    if wanted.equals(ids) and pc.all(pc.less(ids[:-1], ids[1:])).as_py():
        return np.arange(len(ids))  # each once, and no table of them is made
    rows = _positions(wanted, ids)
    if (rows != NONE).all():
        return rows
    names, stems = names_and_stems(paths)
    for texts in (wanted, pc.utf8_trim_whitespace(wanted)):
        for keys in (ids, names, stems):
            left = np.flatnonzero(rows == NONE)
            rows[left] = _positions(texts.take(pa.array(left)), keys)
    left = np.flatnonzero((rows == NONE) & np.asarray(pc.match_substring_regex(wanted, r"[/\\]")))
    if len(left):
        rows[left] = match_names(wanted.take(pa.array(left)), paths)
    return rows


def natural_order(ids: pa.StringArray) -> np.ndarray:
    """Return the positions that sort the ids, comparing numbers in them by value, int64 (n,)."""
    width = pc.max(pc.utf8_length(ids)).as_py() or 0
    keys = pa.array(list(map(natural_key(width), ids.to_pylist())), pa.string())
    table = pa.table({"key": keys, "id": ids})
    order = pc.sort_indices(table, [("key", "ascending"), ("id", "ascending")])
    return np.asarray(order).astype(np.int64)


def natural_key(width: int) -> Callable[[str], str]:
    """Return the sort key that pads each number in a text to ``width`` digits."""
    digits = re.compile("[0-9]+")
    return lambda text: digits.sub(lambda found: found[0].zfill(width), text)


def _several_columns(source: str, header: tuple[str, ...], classes: Sequence[str]) -> Form:
    found = [_class_called(name, classes) for name in header[1:]]
    strange = [name for name, index in zip(header[1:], found, strict=True) if index is None]
    absent = [name for index, name in enumerate(classes) if index not in found]
    if not strange and not absent and len(found) == len(classes):
        return _one_a_class(header, classes, tuple(found))
    parts = [
        f"columns that are not a class: {first_ten(strange)}" if strange else "",
        f"no column for class {first_ten(absent)}" if absent else "",
        "two columns for one class" if not strange and not absent else "",
    ]
    message = f"{source} has {' and '.join(filter(None, parts))}."
    return Form(header, "probability", tuple(found), False, message)


def _class_of_two(header: tuple[str, ...], classes: Sequence[str], positive: int) -> Form:
    if all(map(_is_whole, classes)):
        message = f"{header[1]} is the name of the most likely class: {', '.join(classes)}."
        return Form(header, "name", (0,), True, message)
    message = (
        f"{header[1]} is 1 where {classes[positive]} is likelier and 0 where "
        f"{classes[1 - positive]} is."
    )
    kind: Literal["index", "other index"] = "index" if positive == 1 else "other index"
    return Form(header, kind, (0,), True, message)


def _one_probability(header: tuple[str, ...], classes: Sequence[str], index: int) -> Form:
    one, zero = classes[index], classes[1 - index]
    message = f"{header[1]} is P({one}): 1 means {one}, 0 means {zero}."
    return Form(header, "probability", (index,), True, message)


def _one_a_class(
    header: tuple[str, ...], classes: Sequence[str], found: tuple[int | None, ...]
) -> Form:
    more = f" and {len(classes) - 10:,} more" if len(classes) > 10 else ""
    named = ", ".join(classes[:10]) + more
    message = f"Each class has one column of probabilities: {named}."
    return Form(header, "probability", found, True, message)


def _class_called(text: str, classes: Sequence[str]) -> int | None:
    """Return the class with this name, or the only one that differs in case or outer spaces."""
    if text in classes:
        return classes.index(text)
    alike = [i for i, name in enumerate(classes) if _plain(name) == _plain(text)]
    return alike[0] if len(alike) == 1 else None


def _class_in(column: str, classes: Sequence[str]) -> int | None:
    """Return the only class whose name is part of the column's: 'is_dog', 'P(dog)', 'Dog'."""
    words = [_words(name) for name in classes]
    found = [i for i, name in enumerate(words) if name.strip() and name in _words(column)]
    widest = [i for i in found if not any(words[i] in words[j] for j in found if j != i)]
    return widest[0] if len(widest) == 1 else None


def _words(text: str) -> str:
    return " ".join(["", *re.findall(r"[^\W_]+", text.casefold()), ""])


def _plain(text: str) -> str:
    return text.strip().casefold()


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", text) is not None


def _positions(texts: pa.StringArray, keys: pa.StringArray) -> np.ndarray:
    at = np.asarray(pc.fill_null(pc.index_in(texts, keys), NONE)).astype(np.int64)
    if pc.count_distinct(keys).as_py() < len(keys):
        codes = np.asarray(keys.dictionary_encode().indices)
        several = (np.bincount(codes) > 1)[codes]  # of each key, whether it occurs again
        at[(at != NONE) & several[at]] = AMBIGUOUS
    return at
