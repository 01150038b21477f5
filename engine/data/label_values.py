"""Reads the values of a label column, and recognises tasks other than classification."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.names import clean

NO_LABEL = ("", "nan", "na", "n/a", "<na>", "none", "null", "?")
_LISTED = re.compile(r"[|;,]|^\[.*\]$|^\{.*\}$")
_SCORES = frozenset(
    "age pawpularity score rating price count weight height bmi angle steering temperature depth "
    "distance value quality popularity bone_age boneage".split()
)
MANY_NUMBERS = 20  # more different whole numbers under a name of _SCORES are a measure


def read_labels(column: pa.StringArray) -> pa.StringArray:
    """Return labels without outer spaces, in Unicode's composed form, whole numbers without ``.0``.

    Examples
    --------
    >>> read_labels(pa.array([" cat", "NaN", "?", None])).to_pylist()
    ['cat', None, None, None]
    >>> read_labels(pa.array(["1.0", "0.0", ""])).to_pylist()
    ['1', '0', None]
    """
    texts = clean(pc.fill_null(column, ""))
    texts = pc.if_else(pc.is_in(pc.utf8_lower(texts), pa.array(NO_LABEL)), None, texts)
    different = pc.unique(texts.drop_null()).to_pylist()
    if different and all(re.fullmatch(r"[+-]?[0-9]+\.0*", text) for text in different):
        texts = pc.replace_substring_regex(texts, r"\.0*$", "")
    return texts


def other_task(name: str, labels: pa.StringArray) -> str | None:
    """Return the name of the other task that a label column belongs to, None for classes.

    Parameters
    ----------
    name : the column's name
    labels : as `read_labels` returns them
    """
    counts = pc.value_counts(labels.drop_null())
    different = counts.field("values").to_pylist()
    numbers = [_number(text) for text in different]
    known = [number for number in numbers if number is not None]
    fractions = [number for number in known if not number.is_integer()]
    if different and len(known) == len(different) and fractions:
        return f"a continuous target ({_shown(different)})"
    score = name.strip().lower().replace(" ", "_") in _SCORES
    if score and len(known) == len(different) > MANY_NUMBERS:
        return f"a continuous target ({len(different):,} different numbers)"
    plural = re.search(r"(s|_ids|Ids)$", name.strip()) is not None and not name.endswith("ss")
    if several := _several(different, plural):
        return f"several labels per image ({_shown(several)})"
    return None


def one_hot(columns: Sequence[pa.StringArray], names: Sequence[str]) -> pa.StringArray | None:
    """Return the class of each row of 0/1 columns, None if a row has several or none.

    Rows without any number in these columns have no label.
    """
    table = np.stack([_as_bits(column) for column in columns])  # (n_columns, n)
    given = table.max(axis=0) >= 0
    if not (np.where(table > 0, 1, 0).sum(axis=0)[given] == 1).all():
        return None
    labels = pa.array(list(names), pa.string()).take(pa.array(table.argmax(axis=0)))
    return pc.if_else(pa.array(given), labels, None)


def is_bits(column: pa.StringArray) -> bool:
    """Return whether a column holds only 0 and 1 (or true and false)."""
    values = set(pc.unique(pc.utf8_lower(pc.utf8_trim_whitespace(column))).to_pylist())
    return values <= {*_BITS, "", None} and bool(values & set(_BITS)) and not {"0", "-1"} <= values


_BITS = {"0": 0, "1": 1, "-1": 0, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


def _as_bits(column: pa.StringArray) -> np.ndarray:
    encoded = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(column, ""))).dictionary_encode()
    bits = np.array([_BITS.get(text, -1) for text in encoded.dictionary.to_pylist()])
    return np.asarray(bits[np.asarray(encoded.indices)])


def _several(different: list[str], plural: bool) -> list[str]:
    """Return values that are made of several others' words: ``cat dog`` beside ``cat``.

    Under a name like ``tags``, a value whose words all occur in other values too is enough.
    """
    alone = {text for text in different if not _LISTED.search(text) and " " not in text}
    listed = [text for text in different if _LISTED.search(text)]
    if listed:
        words = [part for text in listed for part in _parts(text)]
        repeated = len(words) > len(set(words)) or set(words) & {*alone, *different}
        if repeated or any(text.startswith(("[", "{")) for text in listed):
            return listed
    spaced = [text for text in different if len(text.split()) > 1]
    made_of_others = [text for text in spaced if set(text.split()) <= alone]
    if made_of_others:
        return made_of_others
    whole = [text for text in spaced if all(part.isdigit() for part in text.split())]
    if whole:
        return whole
    tokens = Counter(token for text in different for token in text.split())
    recurring = [text for text in spaced if all(tokens[token] > 1 for token in text.split())]
    if plural and recurring:
        return recurring
    orders = {frozenset(text.split()) for text in spaced}
    return spaced if len(orders) < len(spaced) else []


def _parts(text: str) -> list[str]:
    return [part.strip(" '\"") for part in re.split(r"[|;,]", text.strip("[]{}")) if part.strip()]


def _shown(values: list[str]) -> str:
    return ", ".join(repr(value) for value in values[:3])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
