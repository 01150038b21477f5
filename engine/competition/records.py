"""Submissions on disk: each is a CSV file with a JSON record, and none is ever overwritten."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.analysis.compared_corrections import named
from engine.analysis.fitted import FittedCorrection
from engine.competition.sample import natural_key
from engine.competition.submission import Submission, require
from engine.competition.submission_csv import csv_blocks
from engine.errors import UserError
from engine.runs.files import locked, read_json, write_atomic, write_json
from engine.runs.opening import is_folder

_NUMBER = (int, float, type(None))
_TEXT = (str, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    "created": _TEXT, "run": _TEXT, "lower": _NUMBER, "upper": _NUMBER, "rows": _NUMBER,
    "kaggle": (dict, type(None)), "correction": (dict, type(None)),
}  # fmt: skip
_LONGEST = 1_000  # characters of a value that a page shows


def write_submission(
    folder: Path, submission: Submission, *, run: str, now: datetime, out: Path | None = None
) -> Path:
    """Write ``<UTC time>.csv`` and its record ``.json`` into ``folder``, and a copy at ``out``.

    An earlier submission is never overwritten: a second one in the same second ends in ``-2``.

    Returns
    -------
    Path
        The path of the CSV in ``folder``.

    Raises
    ------
    UserError
        If a check failed or a file cannot be written.
    """
    require(submission)
    if out is not None:
        write_atomic(out, csv_blocks(submission))
    with locked(folder / ".lock"):
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        names = (stamp if k == 1 else f"{stamp}-{k}" for k in itertools.count(1))
        taken = {file.stem for file in folder.iterdir()}
        path = folder / f"{next(name for name in names if name not in taken)}.csv"
        digest = hashlib.sha256()
        write_atomic(path, _hashed(csv_blocks(submission), digest))
        record = {
            "file": path.name,
            "created": now.astimezone(UTC).isoformat(),
            "run": run,
            "lower": submission.lower,
            "upper": submission.upper,
            "correction": None if submission.chosen is None else submission.chosen.summary(),
            "header": submission.header,
            "rows": len(submission.ids),
            "sha256": digest.hexdigest(),
            "checks": [asdict(check) for check in submission.checks],
            "flagged": submission.flagged,
            "out": None if out is None else str(out),
            "kaggle": {"ref": None, "status": None, "score": None},
        }
        write_json(path.with_suffix(".json"), record)
    return path


def _hashed(blocks: Iterator[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


def record_sent(file: Path, kaggle: dict[str, Any]) -> None:
    """Replace the Kaggle entry (ref, status, score and so on) in a submission's record.

    Raises
    ------
    UserError
        If the record is missing, damaged, or cannot be written.
    """
    path = file.with_suffix(".json")
    with locked(file.parent / ".lock"):
        write_json(path, {**read_json(path), "kaggle": kaggle})


def list_submissions(folder: Path) -> list[dict[str, Any]]:
    """Return the records of all submissions, newest first.

    A submission whose record is missing or damaged is ``{"file": ..., "reason": ...}``.
    """
    if not is_folder(folder):
        return []
    stems = {file.stem for file in folder.glob("*.csv")} | {f.stem for f in folder.glob("*.json")}
    records = []
    for stem in sorted(stems, key=natural_key(3), reverse=True):
        try:
            record = read_json(folder / f"{stem}.json")
            _check(record, folder / f"{stem}.json")
            records.append({**record, "file": f"{stem}.csv"})
        except UserError as error:
            records.append({"file": f"{stem}.csv", "reason": str(error)})
    return records


def _check(record: dict[str, Any], path: Path) -> None:
    """Refuse a record whose values are not of the kinds that `write_submission` writes."""
    for key, kinds in _KINDS.items():
        if not isinstance(record.get(key), kinds):
            raise UserError(
                f"{path} is damaged: {key} is of the wrong type; write the submission again."
            )
    for key, value in (record.get("kaggle") or {}).items():
        if isinstance(value, list | dict) or len(str(value)) > _LONGEST:
            raise UserError(
                f"{path} is damaged: kaggle.{key} must be a single short value; write the "
                "submission again."
            )


def applied(record: dict[str, Any]) -> str:
    """Return the correction of a submission as text."""
    if chosen := record.get("correction"):
        try:
            return named(FittedCorrection.from_summary(chosen["fitted"]))
        except (UserError, KeyError, TypeError, ValueError):
            return "a correction that cannot be read"
    return f"bounds {record.get('lower')} and {record.get('upper')}"


def scored_bounds(folder: Path) -> list[tuple[float, float, float]]:
    """Return (lower, upper, score) of the clipped submissions scored by Kaggle, newest first.

    Submissions with any other correction are left out.
    """
    found = []
    for record in list_submissions(folder):
        try:
            kaggle, chosen = record["kaggle"], record.get("correction")
            if chosen and chosen["fitted"]["name"] not in ("none", "clip"):
                continue
            found.append((float(record["lower"]), float(record["upper"]), float(kaggle["score"])))
        except (KeyError, TypeError, ValueError):
            continue
    return [(low, high, score) for low, high, score in found if 0 <= low < high <= 1]
