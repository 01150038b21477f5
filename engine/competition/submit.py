"""Writes the checked submission file of a run and, if asked to, sends it to Kaggle."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.competition.correction import ChosenCorrection
from engine.competition.prepare import prepare_submission
from engine.competition.records import write_submission
from engine.competition.sample import Values
from engine.competition.sending import KaggleScore, check_sending, send_submission, wait_for_score
from engine.competition.submission import Submission
from engine.competition.submission_checks import Check
from engine.competition.submission_csv import to_csv
from engine.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sending:
    """Where a submission is sent, and how.

    Attributes
    ----------
    competition : name or address at Kaggle
    message : the message of the submission, 1 to 300 characters
    accept_quarantined : whether images that cannot be read may get the base rate
    wait : seconds to wait for the score
    """

    competition: str
    message: str
    accept_quarantined: bool = False
    wait: float = 300.0


@dataclass(frozen=True)
class SubmissionChoice:
    """Choices for the content of a submission; None means the one that fits sample and run.

    Attributes
    ----------
    values : "probability" or "class", the content of the only value column
    predictions : the table of predictions that is submitted
    """

    values: Values | None = None
    predictions: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Submitted:
    """A written submission, which may have been sent.

    Attributes
    ----------
    file : the CSV
    submission : ids, values and checks
    kaggle : the submission at Kaggle, None if it was not sent
    """

    file: Path
    submission: Submission
    kaggle: KaggleScore | None

    def __repr__(self) -> str:
        """Return the file and its number of rows."""
        return f"<submission of {self.n:,} rows in {self.file}>"

    @property
    def n(self) -> int:
        """Return the number of rows."""
        return len(self.submission.ids)

    @property
    def lower(self) -> float:
        """Return the lower clip bound on P(positive), 0 if there is none."""
        return self.submission.lower

    @property
    def upper(self) -> float:
        """Return the upper clip bound on P(positive), 1 if there is none."""
        return self.submission.upper

    @property
    def correction(self) -> ChosenCorrection:
        """Return the correction that was applied, with the expected log loss."""
        assert self.submission.chosen is not None
        return self.submission.chosen

    @property
    def checks(self) -> tuple[Check, ...]:
        """Return the checks; all of them passed."""
        return tuple(self.submission.checks)

    @property
    def quarantined(self) -> tuple[str, ...]:
        """Return the ids of unreadable images, which got the base rate."""
        return self.submission.flagged

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows of the file; ids are text, values as written."""
        import pandas as pd

        content = io.BytesIO(to_csv(self.submission))
        return pd.read_csv(content, dtype=str, na_filter=False)

    def as_json(self) -> dict[str, Any]:
        """Return the submission as `second-look submit --json` prints it."""
        return {
            "file": str(self.file),
            "rows": self.n,
            "lower": self.lower,
            "upper": self.upper,
            "correction": self.correction.summary(),
            "sentence": self.correction.sentence,
            "checks": [
                {"name": c.name, "passed": c.passed, "message": c.message} for c in self.checks
            ],
            "quarantined": list(self.quarantined),
            "kaggle": asdict(self.kaggle) if self.kaggle else None,
        }


def submit(
    run: Run,
    chosen: ChosenCorrection,
    *,
    accept_cost: bool = False,
    sample: Path | None = None,
    choice: SubmissionChoice | None = None,
    out: Path | None = None,
    sending: Sending | None = None,
) -> Submitted:
    """Write the checked submission file of a run, and send it if ``sending`` is given.

    Parameters
    ----------
    chosen : the correction of the probabilities
    accept_cost : whether to apply a correction that raises the log loss beyond noise
    sample : the competition's sample file; by default the one beside the images
    choice : kind of values and table of predictions, if there is a choice
    out : where to write a copy

    Raises
    ------
    UserError
        When a check fails, a file cannot be written, or Kaggle does not take it.
    """
    choice = choice or SubmissionChoice()
    submission = prepare_submission(
        run, chosen, sample, values=choice.values, table=choice.predictions,
        accept_cost=accept_cost,
    )  # fmt: skip
    if sending is not None:
        competition = check_sending(
            sending.competition,
            sending.message,
            list(submission.flagged),
            sending.accept_quarantined,
        )
    folder = run.folder / "submissions"
    file = write_submission(folder, submission, run=run.name, now=datetime.now(UTC), out=out)
    kaggle = None
    if sending is not None:
        send_submission(run, file, competition, sending.message)
        kaggle = wait_for_score(file, sending.wait)
    return Submitted(out or file, submission, kaggle)
