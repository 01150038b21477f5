"""Probabilities and a sample file in, one checked CSV for the competition out."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.analysis.clipping import clip_probabilities
from engine.errors import Refused, first_ten
from engine.runs.files import locked, read_json, write_atomic, write_json
from engine.runs.imported import names_and_stems, read_csv_text
from engine.runs.predictions import Predictions

_NONE, _AMBIGUOUS = -1, -2  # in place of a picture's position
_MUST_QUOTE = re.compile('[,"\r\n]')
_MIN_DECIMALS, _SIGNIFICANT = 5, 6


@dataclass(frozen=True)
class Check:
    """One promise of the file, kept or not, in a sentence; ``ids`` are the first ten concerned."""

    name: str
    passed: bool
    message: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """What would be handed in, and whether it may be.

    Attributes
    ----------
    header : names of all columns, the id's first
    ids : one a row, in the order of the file
    values : one list of texts a column after the id; '' where a row has no value
    checks : in the order in which they are shown
    flagged : ids whose picture cannot be read, so that they got the base rate
    lower, upper : the clip bounds on P(positive)
    """

    header: tuple[str, ...]
    ids: list[str]
    values: list[list[str]]
    checks: list[Check]
    flagged: tuple[str, ...]
    lower: float
    upper: float

    @property
    def ok(self) -> bool:
        """Tell whether every check passed."""
        return all(check.passed for check in self.checks)


def check_submission(
    predictions: Predictions,
    *,
    lower: float,
    upper: float,
    sample: Path | None,
    quarantined: Sequence[tuple[str, str]],
    base_rate: np.ndarray,
    positive: int | None = None,
) -> Submission:
    """Compose the submission and record every check, passed or failed; nothing is written.

    With a sample file, its header, ids and order are kept. A picture belongs to an id of the
    sample when its own id is that text, else its file name, else its stem, each only when one
    picture fits. One value column means P(positive), or P(class) when its name holds that of one
    class. It means the predicted class, by name, when the sample's values are class names or,
    with more than two classes, blank; and with more than two classes and whole numbers in the
    sample, by index among the sorted names (by name where all names are whole numbers). Several
    value columns hold one probability each, matched to the classes by name. Without a sample the
    file is ``id,label``, or ``id,<class>,...`` for more than two classes, in natural order of
    the ids.

    Parameters
    ----------
    lower, upper : bounds on P(positive), see :mod:`engine.analysis.clipping`
    sample : the competition's sample file, if there is one
    quarantined : (id, path) of each test picture that could not be read
    base_rate : float array of shape (n_classes,), the class shares in training, which
        quarantined pictures get
    positive : index of the positive class; the last by default

    Raises
    ------
    Refused
        When the sample cannot be read, has no rows or no second column.
    """
    classes = predictions.class_names
    positive = len(classes) - 1 if positive is None else positive
    lost = list(dict.fromkeys(quarantined))
    pictures = pa.concat_arrays([predictions.ids, pa.array([id for id, _ in lost], pa.string())])
    if sample is None:
        rows = _natural_order(pictures)  # (n_rows,) position of each row's picture
        wanted = pictures.take(pa.array(rows))
        form = _plain_form(classes, positive)
    else:
        header, columns = _read_sample(sample)
        lost_paths = pa.array([path for _, path in lost], pa.string())
        rows = _match(columns[0], pictures, pa.concat_arrays([predictions.paths, lost_paths]))
        wanted = columns[0]
        form = _sample_form(str(sample), header, columns, classes, positive)
    source = "The submission" if sample is None else str(sample)

    p = np.vstack([predictions.probabilities, np.tile(base_rate, (len(lost), 1))])
    usable = np.asarray(((p >= 0) & (p <= 1)).all(axis=1))  # (n_pictures,), NaN is neither
    p = np.where(usable[:, None], p, base_rate)
    texts, past = _texts(form, classes, p, lower, upper, positive)
    blank = (rows < 0) | ~np.append(usable, False)[rows]
    chosen = pa.array(np.where(blank, 0, rows), mask=blank)
    flagged = wanted.take(pa.array(np.flatnonzero(rows >= len(predictions)))).to_pylist()
    return Submission(
        header=form.header,
        ids=wanted.to_pylist(),
        values=[pc.fill_null(column.take(chosen), "").to_pylist() for column in texts],
        checks=[
            _rows_check(source, wanted, rows),
            _ids_check(source, wanted, rows, predictions),
            Check("order", True, f"{source} has its rows in natural order of the ids.")
            if sample is None
            else Check("order", True, f"The rows are in the order of {source}."),
            _range_check(pictures, usable),
            _bounds_check(pictures, past, form.kind, lower, upper),
            form.check,
            _missing_check(flagged),
        ],
        flagged=tuple(flagged),
        lower=lower,
        upper=upper,
    )


def require(submission: Submission) -> None:
    """Pass a submission that may be handed in.

    Raises
    ------
    Refused
        With the sentence of the first check that failed.
    """
    for check in submission.checks:
        if not check.passed:
            raise Refused(check.message)


def to_csv(submission: Submission) -> bytes:
    r"""Return the file's content: UTF-8, commas, ``\n``, quotes only where RFC 4180 needs them."""
    columns = [_quoted(submission.ids), *map(_quoted, submission.values)]
    lines = [",".join(_quoted(submission.header)), *map(",".join, zip(*columns, strict=True))]
    return ("\n".join(lines) + "\n").encode()


def write_submission(
    folder: Path, submission: Submission, *, run: str, now: datetime, out: Path | None = None
) -> Path:
    """Write ``<UTC time>.csv`` and its record ``.json`` into ``folder``, and a copy at ``out``.

    An earlier submission is never overwritten: the second of a second is called ``...-2``.

    Returns
    -------
    Path
        The CSV in ``folder``.

    Raises
    ------
    Refused
        When a check failed, or a file cannot be written.
    """
    require(submission)
    content = to_csv(submission)
    if out is not None:
        write_atomic(out, content)
    with locked(folder / ".lock"):
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        names = (stamp if k == 1 else f"{stamp}-{k}" for k in itertools.count(1))
        taken = {file.stem for file in folder.iterdir()}
        path = folder / f"{next(name for name in names if name not in taken)}.csv"
        write_atomic(path, content)
        record = {
            "file": path.name,
            "created": now.astimezone(UTC).isoformat(),
            "run": run,
            "lower": submission.lower,
            "upper": submission.upper,
            "header": submission.header,
            "rows": len(submission.ids),
            "sha256": hashlib.sha256(content).hexdigest(),
            "checks": [asdict(check) for check in submission.checks],
            "flagged": submission.flagged,
            "out": None if out is None else str(out),
            "kaggle": {"ref": None, "status": None, "score": None},
        }
        write_json(path.with_suffix(".json"), record)
    return path


def list_submissions(folder: Path) -> list[dict[str, Any]]:
    """Return the records of all submissions, newest first.

    One whose record is missing or damaged is ``{"file": ..., "reason": ...}``.
    """
    stems = {file.stem for file in folder.glob("*.csv")} | {f.stem for f in folder.glob("*.json")}
    records = []
    for stem in sorted(stems, key=_natural_key(3), reverse=True):
        try:
            records.append(read_json(folder / f"{stem}.json"))
        except Refused as error:
            records.append({"file": f"{stem}.csv", "reason": str(error)})
    return records


# Which class a value column stands for.


@dataclass(frozen=True)
class _Form:
    header: tuple[str, ...]
    kind: Literal["probability", "name", "index"]
    classes: tuple[int | None, ...]  # one a value column; None where it cannot be told
    check: Check


def _plain_form(classes: Sequence[str], positive: int) -> _Form:
    if len(classes) == 2:
        return _one_probability(("id", "label"), classes, positive)
    return _one_a_class(("id", *classes), classes, tuple(range(len(classes))))


def _sample_form(
    source: str,
    header: tuple[str, ...],
    columns: Sequence[pa.StringArray],
    classes: Sequence[str],
    positive: int,
) -> _Form:
    if len(header) > 2:
        return _several_columns(source, header, classes)
    values = set(pc.unique(pc.utf8_trim_whitespace(columns[1])).to_pylist()) - {""}
    numeric = all(map(_is_number, values))
    if len(classes) == 2 and numeric:
        named = _class_in(header[1], classes)
        return _one_probability(header, classes, positive if named is None else named)
    whole = all(map(_is_whole, values))
    if values <= set(classes) or (whole and all(map(_is_whole, classes))):
        message = f"{header[1]} is the likeliest class by its name: {', '.join(classes)}."
        return _Form(header, "name", (0,), Check("class direction", True, message))
    if whole:
        names = ", ".join(f"{index} is {name}" for index, name in enumerate(classes))
        message = f"{header[1]} is the number of the likeliest class, names sorted: {names}."
        return _Form(header, "index", (0,), Check("class direction", True, message))
    message = (
        f"{source} has one value column, {header[1]!r}, which cannot hold {len(classes)} classes' "
        "probabilities; a sample with one column a class is needed."
        if numeric
        else f"{source} holds {first_ten(sorted(values - set(classes)))} in column {header[1]!r}, "
        f"which is neither a number nor one of the classes {first_ten(list(classes))}."
    )
    return _Form(header, "name", (None,), Check("class direction", False, message))


def _several_columns(source: str, header: tuple[str, ...], classes: Sequence[str]) -> _Form:
    found = [_class_called(name, classes) for name in header[1:]]
    strange = [name for name, index in zip(header[1:], found, strict=True) if index is None]
    absent = [name for index, name in enumerate(classes) if index not in found]
    if not strange and not absent and len(found) == len(classes):
        return _one_a_class(header, classes, tuple(found))
    parts = [
        f"columns that are no class: {first_ten(strange)}" if strange else "",
        f"no column for class {first_ten(absent)}" if absent else "",
        "two columns for one class" if not strange and not absent else "",
    ]
    message = f"{source} has {' and '.join(filter(None, parts))}."
    return _Form(header, "probability", tuple(found), Check("class direction", False, message))


def _one_probability(header: tuple[str, ...], classes: Sequence[str], index: int) -> _Form:
    one, zero = classes[index], classes[1 - index]
    message = f"{header[1]} is P({one}): 1 means {one}, 0 means {zero}."
    return _Form(header, "probability", (index,), Check("class direction", True, message))


def _one_a_class(
    header: tuple[str, ...], classes: Sequence[str], found: tuple[int | None, ...]
) -> _Form:
    named = ", ".join(classes)
    check = Check("class direction", True, f"Each class has its column of probabilities: {named}.")
    return _Form(header, "probability", found, check)


def _class_called(text: str, classes: Sequence[str]) -> int | None:
    """Return the class of this name, or the only one of it but for case and spaces around."""
    if text in classes:
        return classes.index(text)
    alike = [i for i, name in enumerate(classes) if _plain(name) == _plain(text)]
    return alike[0] if len(alike) == 1 else None


def _class_in(column: str, classes: Sequence[str]) -> int | None:
    """Return the only class whose words stand in the column's name: 'is_dog', 'P(dog)', 'Dog'."""
    words = [_words(name) for name in classes]
    found = [i for i, name in enumerate(words) if name.strip() and name in _words(column)]
    widest = [i for i in found if not any(words[i] in words[j] for j in found if j != i)]
    return widest[0] if len(widest) == 1 else None


def _words(text: str) -> str:
    return " ".join(["", *re.findall(r"[^\W_]+", text.casefold()), ""])


def _plain(text: str) -> str:
    return text.strip().casefold()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", text) is not None


# Which picture a row stands for.


def _read_sample(sample: Path) -> tuple[tuple[str, ...], list[pa.StringArray]]:
    header, columns = read_csv_text(sample)
    if len(header) < 2:
        raise Refused(f"{sample} needs a second column, after a comma, for the values.")
    if len(columns[0]) == 0:
        raise Refused(f"{sample} has no rows after its header.")
    return tuple(header), columns


def _match(wanted: pa.StringArray, ids: pa.StringArray, paths: pa.StringArray) -> np.ndarray:
    """Return the position of each wanted id's picture, ``_NONE`` or ``_AMBIGUOUS``, (n_rows,)."""
    rows = _positions(wanted, ids)
    if (rows != _NONE).all():
        return rows
    names, stems = names_and_stems(paths)
    for texts in (wanted, pc.utf8_trim_whitespace(wanted)):
        for keys in (ids, names, stems):
            left = np.flatnonzero(rows == _NONE)
            rows[left] = _positions(texts.take(pa.array(left)), keys)
    return rows


def _positions(texts: pa.StringArray, keys: pa.StringArray) -> np.ndarray:
    encoded = keys.dictionary_encode()
    codes, first, count = np.unique(
        np.asarray(encoded.indices), return_index=True, return_counts=True
    )  # codes are 0, 1, 2, ...
    position = np.append(np.where(count == 1, first, _AMBIGUOUS), _NONE)
    code = pc.fill_null(pc.index_in(texts, encoded.dictionary), len(codes))
    return np.asarray(position[np.asarray(code)])


def _natural_order(ids: pa.StringArray) -> np.ndarray:
    width = pc.max(pc.utf8_length(ids)).as_py() or 0
    keys = pa.array(list(map(_natural_key(width), ids.to_pylist())), pa.string())
    table = pa.table({"key": keys, "id": ids})
    order = pc.sort_indices(table, [("key", "ascending"), ("id", "ascending")])
    return np.asarray(order).astype(np.int64)


def _natural_key(width: int) -> Callable[[str], str]:
    digits = re.compile("[0-9]+")
    return lambda text: digits.sub(lambda found: found[0].zfill(width), text)


# What a row says.


def _texts(
    form: _Form, classes: Sequence[str], p: np.ndarray, lower: float, upper: float, positive: int
) -> tuple[list[pa.StringArray], np.ndarray]:
    """Return one text a picture and value column, and which pictures' texts pass a bound."""
    past = np.zeros(len(p), dtype=bool)
    best = pa.array(p.argmax(axis=1))  # (n_pictures,)
    clipped = clip_probabilities(p, lower, upper, positive)  # (n_pictures, n_classes)
    texts = []
    for index in form.classes:
        if index is None:
            texts.append(pa.nulls(len(p), pa.string()))
        elif form.kind == "name":
            texts.append(pa.array(classes, pa.string()).take(best))
        elif form.kind == "index":
            texts.append(best.cast(pa.string()))
        else:
            bounds, column = (lower, upper), clipped[:, index]
            if len(classes) == 2 and index != positive:
                bounds = (_complement(upper), _complement(lower))
                column = column.clip(*bounds)
            texts.append(_fixed_point(column, *bounds))
            past |= _past_bounds(texts[-1], column, *bounds)
    return texts, past


def _fixed_point(values: np.ndarray, lower: float, upper: float) -> pa.StringArray:
    """Write probabilities with six significant digits of both p and 1 - p, and no exponent.

    At least five decimals, no further zeros at the end; rounding so is monotone. A value that
    would round past a bound is written in full, so that it reads back exactly.
    """
    unique, where = np.unique(values, return_inverse=True)
    near = np.minimum(unique, 1 - unique)  # distance to the nearer end, which the log loss feels
    scale = np.log10(near, where=near > 0, out=np.zeros_like(near))
    decimals = (_SIGNIFICANT - 1 - np.floor(scale)).astype(int)
    shortest = len("0.") + _MIN_DECIMALS
    texts = [
        f"{value:.{places}f}".rstrip("0").ljust(shortest, "0")
        for value, places in zip(unique.tolist(), decimals.tolist(), strict=True)
    ]
    for i in np.flatnonzero(_past_bounds(pa.array(texts, pa.string()), unique, lower, upper)):
        texts[i] = np.format_float_positional(unique[i], trim="k", min_digits=_MIN_DECIMALS)
    return pa.array(texts, pa.string()).take(pa.array(where))


def _past_bounds(
    texts: pa.StringArray, values: np.ndarray, lower: float, upper: float
) -> np.ndarray:
    """Tell which texts read back beyond a bound that the value itself keeps, bool (n,)."""
    written = np.asarray(texts.cast(pa.float64()))
    below, above = (written < lower) & (values >= lower), (written > upper) & (values <= upper)
    return np.asarray(below | above)


def _complement(bound: float) -> float:
    return float(1 - Decimal(repr(float(bound))))  # 1 - 0.975 as a person writes it: 0.025


def _quoted(texts: Sequence[str]) -> Sequence[str]:
    if not _MUST_QUOTE.search("".join(texts)):
        return texts
    return ['"' + t.replace('"', '""') + '"' if _MUST_QUOTE.search(t) else t for t in texts]


# The checks.


def _check(name: str, ids: Sequence[str], failed: str, passed: str) -> Check:
    message = f"{failed}: {first_ten(list(ids))}." if ids else passed
    return Check(name, not ids, message, tuple(ids[:10]))


def _rows_check(source: str, wanted: pa.StringArray, rows: np.ndarray) -> Check:
    if not len(rows):
        return Check("rows", False, f"{source} has no rows: there is no test picture.")
    empty = wanted.take(pa.array(np.flatnonzero(rows < 0))).to_pylist()
    return _check(
        "rows",
        empty,
        f"{source} has {len(rows):,} rows, and {len(empty):,} of them have no prediction",
        f"{source} has {len(rows):,} rows, and each has its prediction.",
    )


def _ids_check(
    source: str, wanted: pa.StringArray, rows: np.ndarray, predictions: Predictions
) -> Check:
    def ids(chosen: np.ndarray) -> list[str]:
        return list(wanted.take(pa.array(np.flatnonzero(chosen))).to_pylist())

    uses = np.bincount(rows[rows >= 0], minlength=len(predictions))  # rows of each picture
    extra = np.flatnonzero(uses[: len(predictions)] == 0)
    shared = (rows >= 0) & (np.append(uses, [0, 0])[rows] > 1)
    repeated = []
    if shared.any() or (rows < 0).any():  # an id there twice has its picture twice, or none
        counts = pc.value_counts(wanted)
        repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
    problems = {
        "ids there more than once": repeated,
        "ids without a prediction": ids(rows == _NONE),
        "ids that fit more than one picture": ids(rows == _AMBIGUOUS),
        "ids that mean the same picture": [] if repeated else ids(shared),
        "no row for the predicted ids": predictions.ids.take(pa.array(extra)).to_pylist(),
    }
    parts = [f"{what} {first_ten(names)}" for what, names in problems.items() if names]
    if not parts:
        return Check("ids", True, f"{source} has each id once, and each has one picture.")
    offending = [name for names in problems.values() for name in names[:10]]
    return Check("ids", False, f"{source} has {'; '.join(parts)}.", tuple(offending[:10]))


def _range_check(pictures: pa.StringArray, usable: np.ndarray) -> Check:
    return _check(
        "range",
        pictures.take(pa.array(np.flatnonzero(~usable))).to_pylist(),
        "Predictions are missing or outside [0, 1] for ids",
        "Every prediction is a number in [0, 1].",
    )


def _bounds_check(
    pictures: pa.StringArray, past: np.ndarray, kind: str, lower: float, upper: float
) -> Check:
    if kind != "probability":
        return Check("bounds", True, "The file holds classes, which have no clip bounds.")
    return _check(
        "bounds",
        pictures.take(pa.array(np.flatnonzero(past))).to_pylist(),
        f"Written values round past the clip bounds {lower:g} and {upper:g} for ids",
        f"No written value rounds past the clip bounds {lower:g} and {upper:g}.",
    )


def _missing_check(flagged: Sequence[str]) -> Check:
    """Say which rows hold the base rate; it passes, for the person to acknowledge."""
    message = "Every test picture could be read."
    if flagged:
        message = (
            f"{len(flagged):,} pictures could not be read and get the share of their class in "
            f"training: {first_ten(list(flagged))}."
        )
    return Check("missing pictures", True, message, tuple(flagged[:10]))
