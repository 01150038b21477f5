"""Sends submissions to Kaggle, waits for their scores and stores both in the record."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.analysis.clipping import clipped_log_loss
from engine.analysis.fitted import FittedCorrection
from engine.analysis.metrics import log_loss
from engine.competition.correction import positive_index
from engine.competition.kaggle import ask, competition_name
from engine.competition.records import list_submissions, record_sent
from engine.errors import UserError, first_ten
from engine.runs.files import locked, read_json, sha256_of
from engine.runs.run import Run
from engine.runs.run_bin import deleted_runs
from engine.runs.run_list import list_runs

SEND_SECONDS, WAIT_SECONDS = 300.0, 300.0
MAX_MESSAGE = 300
_WAIT_GRACE = 30.0


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
) -> dict[str, Any]:
    """Send a run's submission file once and record its ref; a file sent before is not sent again.

    The message is extended by a tag with the run's name and the file's checksum. Kaggle's list of
    submissions is searched for the tag before sending and, if no answer came, again afterwards.

    Parameters
    ----------
    file
        The CSV as :func:`engine.competition.records.write_submission` returned it.
    seconds
        Time limit.

    Returns
    -------
    dict
        competition, ref, status (pending, complete, error), score, message, sent (UTC time),
        new (False if it had been sent before), valid_log_loss (at the submission's bounds, or
        None).

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
        kept = {
            "competition": name,
            "ref": answer["ref"],
            "status": answer["status"],
            "score": _number(answer, "score"),
            "message": message.strip(),
            "sent": datetime.now(UTC).isoformat(timespec="seconds"),
            "new": answer["new"],
            "valid_log_loss": _valid_log_loss(run, record),
        }
        record_sent(file, kept)
    return kept


def wait_for_score(file: Path, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
    """Wait at most ``seconds`` for the score of a submission that was sent, and record it.

    Returns
    -------
    dict
        As for :func:`send_submission`; status stays pending if there is no score in time.

    Raises
    ------
    UserError
        If Kaggle could not score it, which is recorded, or did not answer.
    """
    kept: dict[str, Any] = read_json(file.with_suffix(".json")).get("kaggle") or {}
    if not kept.get("ref"):
        raise UserError(f"{file} was not sent to Kaggle; send it first.")
    if kept["status"] == "pending":
        answer = ask(
            "wait", kept["competition"], seconds=seconds + _WAIT_GRACE, ref=kept["ref"],
            wait=seconds,
        )  # fmt: skip
        reason = str(answer.get("error") or "")[:300] or None
        kept |= {"status": answer["status"], "score": _number(answer, "score"), "reason": reason}
        record_sent(file, kept)
    if kept["status"] == "error":
        raise UserError(
            f"Kaggle could not score submission {kept['ref']} ({kept.get('reason') or 'no reason'}"
            f"); compare {file.name} with the sample file of {kept['competition']}."
        )
    return kept


def sent_submissions() -> list[dict[str, Any]]:
    """Return every submission that was sent, of all runs and deleted ones, newest first.

    Returns
    -------
    list of dict
        run, file, lower, upper, competition, ref, status, sent, valid_log_loss, score, and gap:
        the public score minus the validation log loss at the same bounds; None where unknown.
        deleted: whether the run is in the bin.
    """
    sent = []
    kept, deleted = list_runs(), deleted_runs()
    for at, run in enumerate([*kept, *deleted]):
        for record in list_submissions(run.folder / "submissions"):
            kaggle = record.get("kaggle")
            if not isinstance(kaggle, dict) or not kaggle.get("ref"):
                continue
            score, expected = _number(kaggle, "score"), _number(kaggle, "valid_log_loss")
            gap = None if score is None or expected is None else score - expected
            sent.append(
                {key: record.get(key) for key in ("run", "file", "lower", "upper", "correction")}
                | {key: kaggle.get(key) for key in ("competition", "ref", "status", "sent")}
                | {"valid_log_loss": expected, "score": score, "gap": gap}
                | {"deleted": at >= len(kept)}
            )
    return sorted(sent, key=lambda line: str(line["sent"]), reverse=True)


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
