"""What a person says about an image's label: one append-only table beside the data, never in it.

A verdict belongs to the image's content (its sha256), so it survives renames and serves every
run. Each word is one line, synced before the next; the last line about an image wins, and taking
back is a line too.
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
    """What one person said about one image.

    Attributes
    ----------
    sha256 : of the image's file
    verdict : one of ``VERDICTS``
    label : the right class, with "wrong-label" only
    cause : one of ``CAUSES``, '' for none: why the image is hard to tell
    path : what the file was called, to be found by people
    reviewer, time : who said it, and when (UTC)
    """

    sha256: str
    verdict: str
    label: str = ""
    cause: str = ""
    path: str = ""
    reviewer: str = ""
    time: str = ""

    def checked(self) -> Verdict:
        """Return the verdict.

        Raises
        ------
        UserError
            When it says something that a verdict cannot say.
        """
        if len(self.sha256) != 64 or not _SHA256_DIGITS.issuperset(self.sha256):
            raise UserError(f"{self.sha256[:80]!r} is no sha256 of an image.")
        if self.verdict not in VERDICTS:
            raise UserError(f"verdict {self.verdict[:80]!r} is unknown; say {', '.join(VERDICTS)}.")
        if self.cause and self.cause not in CAUSES:
            raise UserError(f"--cause {self.cause[:80]!r} is unknown; say {', '.join(CAUSES)}.")
        if (self.verdict == WRONG) != bool(self.label):
            raise UserError(f"--class names the right class of a {WRONG} image, and of no other.")
        return self


def verdicts_path() -> Path:
    """Return where the verdicts are kept, for all runs together."""
    return workspace() / "verdicts" / "verdicts.jsonl"


def load_verdicts() -> dict[str, Verdict]:
    """Return the standing verdict of each image by its sha256.

    Lines that are not whole, or not ours, are passed over.

    Raises
    ------
    UserError
        When the file cannot be read.
    """
    return {name: said[-1] for name, said in _histories().items() if said}


def say(verdict: Verdict) -> Verdict:
    """Keep a verdict, at once; returns it with its time and reviewer.

    Raises
    ------
    UserError
        When it is no verdict, or the disk cannot be written.
    """
    verdict = verdict.checked()
    verdict = replace(verdict, time=_now(), reviewer=verdict.reviewer or default_reviewer())
    _append(asdict(verdict))
    return verdict


def take_back(sha256: str, reviewer: str = "") -> Verdict | None:
    """Take back the last word about an image; what was said before it stands again.

    Returns
    -------
    the verdict that was taken back, None where there was none
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
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "unknown"


def amended(
    before: Verdict | None,
    image: Verdict,
    others: Sequence[str],
    verdict: str = "",
    label: str = "",
    cause: str = "",
) -> Verdict:
    """Return what is to be said of an image; what is not said now stays as it was ``before``.

    A class alone means a wrong label, a cause alone a hard image. A wrong label among two classes
    can only be the other one.

    Parameters
    ----------
    image : gives sha256, path and reviewer
    others : the classes that are not the image's label
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
    """Return the labels that the verdicts make, and which images have one class at all.

    A wrong label becomes the class it was said to be, where ``class_names`` has it; "both" and
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
    """Return what stands of all that was said about each image, oldest first."""
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
    """Add a line and sync it; one that an ended process left half is closed first."""
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
                    f"{path} could not be written ({reason}); earlier ones are kept."
                ) from error


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
