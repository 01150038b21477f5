"""Sends submissions to Kaggle, waits for their scores and stores both in the record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.analysis.clipping import clipped_log_loss
from engine.analysis.fitted import FittedCorrection
from engine.analysis.metrics import log_loss
from engine.competition.correction import positive_index
from engine.competition.kaggle import ask, competition_name
from engine.competition.records import applied, list_submissions, record_sent
from engine.errors import UserError, first_ten
from engine.runs.files import locked, read_json, sha256_of
from engine.runs.run import Run
from engine.runs.run_bin import deleted_runs
from engine.runs.run_list import list_runs
from engine.runs.typed_json import from_json

SEND_SECONDS, WAIT_SECONDS = 300.0, 300.0
MAX_MESSAGE = 300
_WAIT_GRACE = 30.0


@dataclass(frozen=True)
class KaggleScore:
    """A submission at Kaggle.

    Attributes
    ----------
    competition, ref, status : competition, Kaggle's number of the submission, and pending, complete
        or error
    score : public score, None while there is none
    message, sent : its message, and the time of sending (UTC)
    new : False if the same file had been sent before
    valid_log_loss : log loss of the validation images at the same bounds, None where unknown
    reason : why it has no score, None if Kaggle gives no reason
    """

    competition: str
    ref: int | str
    status: str
    score: float | None = None
    message: str = ""
    sent: str = ""
    new: bool = False
    valid_log_loss: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class SentSubmission:
    """A submission that was sent from any run of the workspace.

    Attributes
    ----------
    run, file : name of the run, and name of the file in its folder of submissions
    correction : the correction that was applied, as text
    competition, ref, status, sent : as in `KaggleScore`
    valid_log_loss, score : log loss of the validation images, and public score; None if unknown
    deleted : whether the run is in the bin
    """

    run: str
    file: str
    correction: str
    competition: str
    ref: str
    status: str
    sent: str
    valid_log_loss: float | None
    score: float | None
    deleted: bool = False

    @property
    def gap(self) -> float | None:
        """Return the public score minus the validation log loss, None if one is unknown."""
        if self.score is None or self.valid_log_loss is None:
            return None
        return self.score - self.valid_log_loss


def check_sending(competition: str, message: str, flagged: list[str], accepted: bool) -> str:
    """Return the competition's name after checking what can be checked before a file is written.

    Parameters
    ----------
    flagged
        Ids of the test images that cannot be read.
    accepted
        Whether the user accepts that these images get the base rate.

    Raises
    ------
    UserError
        If the name or the message is invalid, or flagged images are not accepted.
    """
    name = competition_name(competition)
    if not message.strip() or len(message) > MAX_MESSAGE:
        raise UserError(
            f"needs 1 to {MAX_MESSAGE} characters that describe the file.", option="message"
        )
    if flagged and not accepted:
        raise UserError(
            f"is needed, because {len(flagged):,} test images cannot be read and get the base rate "
            f"as their prediction: {first_ten(flagged)}; check them first.",
            option="accept_quarantined",
        )
    return name


def send_submission(
    run: Run,
    file: Path,
    competition: str,
    message: str,
    *,
    seconds: float = SEND_SECONDS,
) -> KaggleScore:
    """Send a run's submission file once and record its ref; a file sent before is not sent again.

    The message is extended by a tag with the run's name and the file's checksum. Kaggle's list of
    submissions is searched for the tag before sending and, if no answer came, again afterwards.

    Parameters
    ----------
    file
        The CSV as :func:`engine.competition.records.write_submission` returned it.
    seconds
        Time limit.

    Raises
    ------
    UserError
        If it was not sent, or may not have been; the message says which.
    """
    name = competition_name(competition)
    record = read_json(file.with_suffix(".json"))
    if sha256_of(file) != record.get("sha256"):
        raise UserError(f"{file} has changed since it was checked; write the submission again.")
    tag = f"[{run.name} {record['sha256'][:12]}]"
    with locked(run.folder / "submissions" / ".send.lock"):
        answer = ask(
            "submit",
            name,
            seconds=seconds,
            file=str(file.absolute()),
            message=f"{message.strip()} {tag}",
            tag=tag,
        )
        sent = KaggleScore(
            competition=name,
            ref=answer["ref"],
            status=answer["status"],
            score=_number(answer, "score"),
            message=message.strip(),
            sent=datetime.now(UTC).isoformat(timespec="seconds"),
            new=answer["new"],
            valid_log_loss=_valid_log_loss(run, record),
        )
        record_sent(file, asdict(sent))
    return sent


def wait_for_score(file: Path, seconds: float = WAIT_SECONDS) -> KaggleScore:
    """Wait at most ``seconds`` for the score of a submission that was sent, and record it.

    The status stays pending if there is no score in time.

    Raises
    ------
    UserError
        If Kaggle could not score it, which is recorded, or did not answer.
    """
    record = file.with_suffix(".json")
    kaggle = read_json(record).get("kaggle") or {}
    if not kaggle.get("ref"):
        raise UserError(f"{file} was not sent to Kaggle; send it first.")
    sent = from_json(KaggleScore, kaggle, f"{record} is damaged: kaggle.")
    if sent.status == "pending":
        answer = ask(
            "wait", sent.competition, seconds=seconds + _WAIT_GRACE, ref=sent.ref, wait=seconds,
        )  # fmt: skip
        reason = str(answer.get("error") or "")[:300] or None
        score = _number(answer, "score")
        sent = replace(sent, status=answer["status"], score=score, reason=reason)
        record_sent(file, asdict(sent))
    if sent.status == "error":
        raise UserError(
            f"Kaggle could not score submission {sent.ref} ({sent.reason or 'no reason'}); "
            f"compare {file.name} with the sample file of {sent.competition}."
        )
    return sent


def sent_submissions() -> list[SentSubmission]:
    """Return every submission that was sent, of all runs and deleted ones, newest first."""
    kept, deleted = list_runs(), deleted_runs()
    sent = [
        _sent(record, record["kaggle"], deleted=at >= len(kept))
        for at, run in enumerate([*kept, *deleted])
        for record in list_submissions(run.folder / "submissions")
        if isinstance(record.get("kaggle"), dict) and record["kaggle"].get("ref")
    ]
    return sorted(sent, key=lambda each: each.sent, reverse=True)


def _sent(record: dict[str, Any], kaggle: dict[str, Any], deleted: bool) -> SentSubmission:
    """Return a submission from its record, whose values may be damaged."""
    return SentSubmission(
        run=str(record.get("run")),
        file=str(record["file"]),
        correction=applied(record),
        **{key: str(kaggle.get(key)) for key in ("competition", "ref", "status", "sent")},
        valid_log_loss=_number(kaggle, "valid_log_loss"),
        score=_number(kaggle, "score"),
        deleted=deleted,
    )


def _number(answer: dict[str, Any], key: str) -> float | None:
    try:
        value = float(answer[key])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _valid_log_loss(run: Run, record: dict[str, Any]) -> float | None:
    try:
        valid = run.predictions("valid")
    except UserError:
        return None
    if not valid.labelled:
        return None
    positive = positive_index(run) if len(valid.class_names) == 2 else None
    if chosen := record.get("correction"):
        fitted = FittedCorrection.from_summary(chosen.get("fitted"))
        return log_loss(valid.y_true, fitted.apply(valid.probabilities))
    return clipped_log_loss(
        valid.y_true, valid.probabilities, record["lower"], record["upper"], positive
    )
