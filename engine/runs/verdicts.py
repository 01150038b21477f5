"""Stores verdicts, people's judgements of image labels, in one append-only table beside the data.

A verdict belongs to the image's content (its sha256), so it stays valid after renaming and in
every run. Each verdict is one line, synced before the next; the last line for an image counts,
and undoing a verdict adds a line as well.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.runs.files import locked, workspace

WRONG, BOTH, NEITHER, HARD, FINE = VERDICTS = ("wrong-label", "both", "neither", "hard", "fine")
CAUSES = (
    "occlusion", "deformation", "background-clutter", "viewpoint", "scale", "illumination", "other",
)  # fmt: skip
REVIEWER = "SECONDLOOK_REVIEWER"
_SHA256_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Verdict:
    """One person's judgement of one image.

    Attributes
    ----------
    sha256 : checksum of the image's file
    verdict : one of ``VERDICTS``
    label : the correct class, only with "wrong-label"
    cause : why the image is difficult, one of ``CAUSES``, or '' for none
    path : the path of the file, for information
    reviewer, time : the author and the time (UTC)
    """

    sha256: str
    verdict: str
    label: str = ""
    cause: str = ""
    path: str = ""
    reviewer: str = ""
    time: str = ""

    def checked(self) -> Verdict:
        """Return the verdict if it is valid.

        Raises
        ------
        UserError
            If one of its values is invalid.
        """
        if len(self.sha256) != 64 or not _SHA256_DIGITS.issuperset(self.sha256):
            raise UserError(f"{self.sha256[:80]!r} is not the sha256 of an image.")
        if self.verdict not in VERDICTS:
            raise UserError(
                f"verdict {self.verdict[:80]!r} is unknown; choose from {', '.join(VERDICTS)}."
            )
        if self.cause and self.cause not in CAUSES:
            raise UserError(
                f"is unknown; choose from {', '.join(CAUSES)}.",
                option="cause",
                value=self.cause[:80],
            )
        if (self.verdict == WRONG) != bool(self.label):
            raise UserError(
                f"can be used only with {WRONG}; it names the correct class.", option="class"
            )
        return self


def verdicts_path() -> Path:
    """Return the path of the verdicts, which all runs share."""
    return workspace() / "verdicts" / "verdicts.jsonl"


def load_verdicts() -> dict[str, Verdict]:
    """Return the current verdict of each image by its sha256.

    Incomplete or unknown lines are ignored.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    return {name: said[-1] for name, said in _histories().items() if said}


def say(verdict: Verdict) -> Verdict:
    """Save a verdict immediately, and return it with its time and reviewer.

    Raises
    ------
    UserError
        If the verdict is invalid, or the disk cannot be written.
    """
    verdict = verdict.checked()
    verdict = replace(verdict, time=_now(), reviewer=verdict.reviewer or default_reviewer())
    _append(asdict(verdict))
    return verdict


def take_back(sha256: str, reviewer: str = "") -> Verdict | None:
    """Undo the last verdict on an image; the verdict before it counts again.

    Returns
    -------
    the verdict that was undone, or None if there was none
    """
    said = _histories().get(sha256)
    if not said:
        return None
    reviewer = reviewer or default_reviewer()
    _append({"sha256": sha256, "undo": True, "reviewer": reviewer, "time": _now()})
    return said[-1]


def default_reviewer() -> str:
    """Return ``$SECONDLOOK_REVIEWER``, else the name of the operating system's user."""
    try:
        return os.environ.get(REVIEWER) or getpass.getuser()
    except (KeyError, OSError):  # a user without a name, for example in a container
        return "unknown"


def amended(
    before: Verdict | None,
    image: Verdict,
    others: Sequence[str],
    verdict: str = "",
    label: str = "",
    cause: str = "",
) -> Verdict:
    """Return the new verdict on an image; values that are not given stay as ``before``.

    A class alone means a wrong label, a cause alone an ambiguous image. With two classes, a wrong
    label can only be the other class.

    Parameters
    ----------
    image : a verdict with sha256, path and reviewer
    others : all classes except the image's label
    """
    if not verdict:
        verdict = WRONG if label else before.verdict if before else HARD
    if before and verdict == before.verdict == WRONG:
        label = label or before.label
    if verdict == WRONG and len(others) == 1:
        label = label or others[0]
    cause = cause or (before.cause if before else "")
    return replace(image, verdict=verdict, label=label, cause=cause)


def applied(
    labels: Sequence[str | None],
    sha256: Sequence[str],
    class_names: Sequence[str],
    verdicts: dict[str, Verdict],
) -> tuple[list[str | None], list[bool]]:
    """Return the labels after applying the verdicts, and which images show a single class.

    A wrong label becomes the class named in the verdict if ``class_names`` contains it; "both" and
    "neither" have no class; "hard" and "fine" change nothing.
    """
    corrected, single = list(labels), [True] * len(labels)
    for row, name in enumerate(sha256):
        verdict = verdicts.get(name)
        if verdict is None:
            continue
        single[row] = verdict.verdict not in (BOTH, NEITHER)
        if verdict.verdict == WRONG and verdict.label in class_names:
            corrected[row] = verdict.label
    return corrected, single


def _histories() -> dict[str, list[Verdict]]:
    """Return the verdicts on each image that have not been undone, oldest first."""
    path = verdicts_path()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}).") from error
    found: dict[str, list[Verdict]] = {}
    for line in content.split(b"\n"):
        try:
            values: dict[str, Any] = json.loads(line)
            if values.get("undo") is True:
                if said := found.get(values["sha256"]):
                    said.pop()
            else:
                verdict = Verdict(**{key: str(value) for key, value in values.items()}).checked()
                found.setdefault(verdict.sha256, []).append(verdict)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UserError):
            continue
    return found


def _append(values: dict[str, Any]) -> None:
    """Append a line and sync it; first end a line that a killed process left incomplete."""
    path = verdicts_path()
    line = json.dumps(values, ensure_ascii=True).encode() + b"\n"
    with locked(path.parent / ".lock"):
        try:
            file = open(path, "ab+", buffering=0)
        except OSError as error:
            raise UserError(f"{path} could not be written ({error.strerror}).") from error
        with file:
            size = file.seek(0, os.SEEK_END)
            try:
                if size:
                    file.seek(size - 1)
                    if file.read(1) != b"\n":
                        line = b"\n" + line
                while line:
                    line = line[os.write(file.fileno(), line) :]
                os.fsync(file.fileno())
            except OSError as error:
                file.truncate(size)
                reason = error.strerror or str(error)
                raise UserError(
                    f"{path} could not be written ({reason}); earlier verdicts are kept."
                ) from error


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
