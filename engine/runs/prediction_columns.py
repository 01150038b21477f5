"""Finds the columns of ids, labels and probabilities in another tool's table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import UserError, first_ten

_IDS = ("id", "image_id", "img_id", "imageid", "id_code", "image", "img", "name", "uuid", "key")
_PATHS = (
    "path", "filepath", "file_path", "image_path", "img_path", "filename", "file_name",
    "image_name", "img_name", "image_file", "file", "fname",
)  # fmt: skip
_LABELS = (
    "label", "y_true", "true_label", "ground_truth", "actual", "truth", "target", "class",
    "category",
)  # fmt: skip
_SINGLE = ("p", "prob", "probability", "score", "p_positive")
_NEVER = ("", "unnamed: 0", "index", "fold", "split", "y_pred", "predicted", "predicted_label")
NUMBER = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class Columns:
    """The columns of a table of predictions.

    Attributes
    ----------
    id, path, label : the columns' names, None where the table has none
    classes : the column of each class, '' for a class of two without a column
    renamed : the class of each label whose text differs from the class name
    """

    id: str | None
    path: str | None
    label: str | None
    classes: dict[str, str]
    renamed: dict[str, str]


def find_columns(
    file: Path,
    table: Mapping[str, pa.Array],
    sample: Sequence[str] | None = None,
    positive: str | None = None,
) -> Columns:
    """Return the columns of ids, labels and probabilities of a table of predictions.

    Parameters
    ----------
    file : where the table comes from, for messages
    table : its columns by name
    sample : the header of the competition's sample file, whose form the table has: the id first,
        then the probabilities
    positive : the class whose probability the only column holds

    Raises
    ------
    UserError
        When a column is missing, or the classes of a single column are unknown.
    """
    id: str | None
    path: str | None
    if sample is not None:
        id, path, label, candidates = _as_in_sample(file, table, sample)
    else:
        id, path = _id_and_path(file, table)
        label = _one_of(table, _LABELS)
        if label is not None and _holds_fractions(_different(file, label, table[label])):
            label = None  # a submission's column `label` holds probabilities
        taken = (id, path, label)
        candidates = [n for n in table if n not in taken and n.casefold() not in _NEVER]
    labels = [] if label is None else _different(file, label, table[label])
    by_class = {} if positive is not None else _column_a_class(file, candidates)
    renamed: dict[str, str] = {}
    if not by_class:
        column = _only_column(file, table, candidates)
        by_class, renamed = _two_classes(file, column, labels, positive)
    elif labels and not set(labels) & set(by_class):
        renamed = _numbered(labels, list(by_class))
    return Columns(id, path, label, by_class, renamed)


def _as_in_sample(
    file: Path, table: Mapping[str, pa.Array], sample: Sequence[str]
) -> tuple[str, None, str | None, list[str]]:
    missing = [name for name in sample if name not in table]
    if missing:
        raise UserError(
            f"{file} has no column {first_ten(missing)}, which the sample file has; it has "
            f"{first_ten(list(table))}."
        )
    label = _one_of([name for name in table if name not in sample], _LABELS)
    return sample[0], None, label, list(sample[1:])


def _id_and_path(file: Path, table: Mapping[str, pa.Array]) -> tuple[str | None, str | None]:
    exact = (_one_of(table, ("id",)), _one_of(table, ("path",)))
    id, path = exact if any(exact) else (_one_of(table, _IDS), _one_of(table, _PATHS))
    if id is None and path is None:
        raise UserError(f"{file} needs a column 'id' or 'path'; it has {first_ten(list(table))}.")
    return id, path


def _one_of(names: Sequence[str] | Mapping[str, pa.Array], known: Sequence[str]) -> str | None:
    """Return the column whose name comes first in a list, in any case."""
    there = {name.casefold(): name for name in reversed(list(names))}
    return next((there[name] for name in known if name in there), None)


def _holds_fractions(texts: list[str]) -> bool:
    """Tell whether all texts are numbers and at least one of them is no whole number."""
    if not texts or not all(re.match(NUMBER, text) for text in texts):
        return False
    return not all(float(text).is_integer() for text in texts)


def _different(file: Path, name: str, column: pa.Array) -> list[str]:
    """Return the different values of a column as sorted texts, without empty ones."""
    try:
        texts = pc.utf8_trim_whitespace(pc.unique(column.drop_null()).cast(pa.string()))
    except pa.ArrowException as error:
        raise UserError(f"{file}: column {name!r} cannot be read as text.") from error
    return sorted(set(texts.to_pylist()) - {"", "nan"})


def _column_a_class(file: Path, candidates: Sequence[str]) -> dict[str, str]:
    """Return each class's column where there are several, p_<class> before bare names."""
    prefixed = {name[2:]: name for name in candidates if name.startswith("p_")}
    if "" in prefixed:
        raise UserError(f"{file} has a column 'p_' without a class; call it p_<class>.")
    if len(prefixed) >= 2:
        return prefixed
    single = prefixed or [name for name in candidates if name.casefold() in _SINGLE]
    return {} if single or len(candidates) < 2 else {name: name for name in candidates}


def _only_column(file: Path, table: Mapping[str, pa.Array], candidates: list[str]) -> str:
    prefixed = [name for name in candidates if name.startswith("p_")]
    known = prefixed or [name for name in candidates if name.casefold() in _SINGLE]
    single = known or candidates
    if len(single) == 1:
        return single[0]
    has = f"more than one: {first_ten(single)}" if single else f"only {first_ten(list(table))}"
    raise UserError(
        f"{file} needs one column p_<class> per class, or one column 'p'; it has {has}."
    )


def _two_classes(
    file: Path, column: str, labels: list[str], positive: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the columns of the two classes of one probability column, and how labels read."""
    if positive is not None:
        return _with_positive(file, column, labels, positive)
    named = column.removeprefix("p_")
    if named not in labels and column.casefold() in _SINGLE and len(labels) == 2:
        named = labels[1]
    if named not in labels or len(labels) != 2:
        raise UserError(
            f"{file} has one probability column, {column!r}, and no label column that names its "
            "two classes; give one column per class, called p_<class>, or name the class of this "
            "one with --positive."
        )
    return {name: column if name == named else "" for name in labels}, {}


def _with_positive(
    file: Path, column: str, labels: list[str], positive: str
) -> tuple[dict[str, str], dict[str, str]]:
    if positive in labels and len(labels) == 2:
        return {name: column if name == positive else "" for name in labels}, {}
    negative = f"not {positive}"
    classes = {positive: column, negative: ""}
    numbers = {"0", "0.0", "1", "1.0", "False", "True", "false", "true"}
    if not labels or set(labels) <= {positive, negative}:
        return classes, {}
    if set(labels) <= numbers:
        ones = {"1", "1.0", "True", "true"}
        return classes, {text: positive if text in ones else negative for text in labels}
    raise UserError(
        f"must be one of the two labels in {file}, which has {first_ten(labels)}.",
        option="positive",
        value=positive,
    )


def _numbered(labels: list[str], classes: list[str]) -> dict[str, str]:
    """Return the class that each label number means, in the order of the classes' columns."""
    known = {
        form: name for place, name in enumerate(classes) for form in (f"{place}", f"{place}.0")
    }
    return {text: known[text] for text in labels} if set(labels) <= set(known) else {}
