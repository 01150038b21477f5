"""Stores verdicts, people's judgements of image labels, in one append-only table beside the data.

A verdict belongs to the image's content (its sha256) and the label that the data give it, so it
stays valid after renaming and in every run, and of two identical images with different labels each
has its own. A verdict without such a label, from an earlier version, applies to any label. Each
verdict is one line, synced before the next; the last line counts, and undoing a verdict adds a line
as well.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import UserError
from engine.runs.files import workspace
from engine.runs.json_lines import append_lines, read_lines

WRONG, BOTH, NEITHER, HARD, FINE = VERDICTS = ("wrong-label", "both", "neither", "hard", "fine")
CAUSES = (
    "occlusion", "deformation", "background-clutter", "viewpoint", "scale", "illumination", "other",
)  # fmt: skip
Key = tuple[str, str]  # sha256 and given label, '' for any
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
    given : the image's label in the data, '' for any
    """

    sha256: str
    verdict: str
    label: str = ""
    cause: str = ""
    path: str = ""
    reviewer: str = ""
    time: str = ""
    given: str = ""

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


@dataclass(frozen=True)
class Verdicts:
    """The current verdicts.

    Attributes
    ----------
    standing : by sha256 and given label
    undone : keys whose verdict without a label was undone; it still applies to other labels
    """

    standing: dict[Key, Verdict] = field(default_factory=dict)
    undone: frozenset[Key] = frozenset()

    def __len__(self) -> int:
        """Return the number of verdicts."""
        return len(self.standing)

    def of(self, sha256: str | None, given: str | None) -> Verdict | None:
        """Return the verdict on an image with this content and label, or None."""
        key = (sha256 or "", given or "")
        if key in self.standing or key in self.undone:
            return self.standing.get(key)
        return self.standing.get((key[0], ""))


def load_verdicts() -> Verdicts:
    """Return the current verdicts.

    Incomplete or unknown lines are ignored.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    last = {key: said[-1] for key, said in _histories().items() if said}
    standing = {key: verdict for key, verdict in last.items() if verdict}
    return Verdicts(standing, frozenset(last.keys() - standing.keys()))


def save_verdict(verdict: Verdict) -> Verdict:
    """Save a verdict immediately, and return it with its time and reviewer; see `save_verdicts`."""
    return save_verdicts([verdict])[0]


def save_verdicts(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Save several verdicts at once, all or none, and return them with their time and reviewer.

    Raises
    ------
    UserError
        If one of them is invalid, or the disk cannot be written.
    """
    now = utc_now()
    said = [
        replace(each.checked(), time=now, reviewer=each.reviewer or default_reviewer())
        for each in verdicts
    ]
    append_lines(verdicts_path(), [asdict(each) for each in said])
    return said


def undo_verdict(sha256: str, given: str = "", reviewer: str = "") -> Verdict | None:
    """Undo the last verdict on an image, and return it, or None; see `undo_verdicts`.

    Parameters
    ----------
    sha256 : checksum of the image
    given : its label in the data, '' for any
    reviewer : author of the change
    """
    found = undo_verdicts([(sha256, given)], reviewer)
    return found[0] if found else None


def undo_verdicts(keys: Sequence[Key], reviewer: str = "") -> list[Verdict]:
    """Undo the last verdict on each of several images; the verdicts before them count again.

    A verdict without a label is undone for this label only.

    Parameters
    ----------
    keys : sha256 and given label of each image

    Returns
    -------
    the verdicts that were undone
    """
    verdicts = load_verdicts()
    last = {key: said for key in keys if (said := verdicts.of(*key))}
    by = {"undo": True, "reviewer": reviewer or default_reviewer(), "time": utc_now()}
    undone = [{"sha256": sha256, "given": given, **by} for sha256, given in last]
    append_lines(verdicts_path(), undone)
    return list(last.values())


def default_reviewer() -> str:
    """Return ``$SECONDLOOK_REVIEWER``, else the name of the operating system's user."""
    try:
        return os.environ.get(REVIEWER) or getpass.getuser()
    except (KeyError, OSError):  # a user without a name, for example in a container
        return "unknown"


def _histories() -> dict[Key, list[Verdict | None]]:
    """Return the verdicts that have not been undone, oldest first.

    None begins a list where a verdict without a label was undone for one label.
    """
    found: dict[Key, list[Verdict | None]] = {}
    for values in read_lines(verdicts_path()):
        try:
            if values.get("undo") is True:
                _undo(found, (values["sha256"], values.get("given", "")))
            else:
                verdict = Verdict(**{key: str(value) for key, value in values.items()}).checked()
                found.setdefault((verdict.sha256, verdict.given), []).append(verdict)
        except (ValueError, TypeError, KeyError, AttributeError, UserError):
            continue
    return found


def _undo(found: dict[Key, list[Verdict | None]], key: Key) -> None:
    said = found.setdefault(key, [])
    if said and said[-1]:
        said.pop()
    elif not said and found.get((key[0], "")):
        said.append(None)


def utc_now() -> str:
    """Return the time as the verdicts record it, such as 2026-03-01T12:00:00Z."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
