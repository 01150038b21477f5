"""Writes a run's submission file, for scripts and notebooks."""

from __future__ import annotations

from pathlib import Path

from engine.competition.correction import choose_correction
from engine.competition.sample import Values
from engine.competition.submit import Sending, SubmissionChoice, Submitted
from engine.competition.submit import submit as submit_run
from engine.errors import UserError
from engine.library.run import Run
from engine.library.run_list import opened


def submit(  # its arguments are the options of the command
    run: Run | str,
    *,
    correction: str = "recommended",
    lower: float | None = None,
    upper: float | None = None,
    sample: str | Path | None = None,
    values: Values | None = None,
    predictions: str | None = None,
    out: str | Path | None = None,
    send: str | None = None,
    message: str | None = None,
    accept_quarantined: bool = False,
    accept_cost: bool = False,
    wait: float = 300.0,
) -> Submitted:
    """Write the checked submission file of a run; with ``send``, send it to Kaggle.

    Parameters
    ----------
    run : Run or str
        A run with test predictions, its name, or ``"latest"``.
    correction : str
        recommended, none, clip, temperature, platt or isotonic. The recommended one has the lowest
        expected log loss; bounds set on the Clip page take its place.
    lower, upper : float, optional
        Clip bounds on P(positive), 0 to 1, instead of a correction.
    sample : str or Path, optional
        The competition's sample file, whose ids, order and columns are kept; by default the one
        beside the images.
    values : {"probability", "class"}, optional
        Content of the only value column, if the sample file fits both.
    predictions : str, optional
        The name of a table that :func:`engine.predict` made, or of its folder if that has only one
        table; by default the run's test images, or the only table of a run without test images.
    out : str or Path, optional
        Also write the file here; the run keeps every submission in any case.
    send : str, optional
        The competition to send it to; the same file is sent only once. Needs ``message``.
    message : str, optional
        The message of the submission, 1 to 300 characters.
    accept_quarantined : bool
        Send even if some test images cannot be read and get the base rate.
    accept_cost : bool
        Write the file even if the correction raises the log loss of the labelled images beyond
        noise.
    wait : float
        Seconds to wait for the score.

    Returns
    -------
    Submitted
        ``file``, ``n``, ``lower``, ``upper``, ``correction`` (with the log loss to expect),
        ``checks``, ``quarantined`` (ids that got the base rate), ``kaggle`` (score, where it was
        sent) and ``to_pandas()``.

    Raises
    ------
    UserError
        When a check fails, the file cannot be written, or Kaggle does not take it.

    Examples
    --------
    >>> import engine
    >>> made = engine.submit("latest", lower=0.02, upper=0.98, out="submission.csv")
    >>> made.n, all(check.passed for check in made.checks)
    (6, True)
    >>> made.to_pandas().columns.tolist()
    ['id', 'label']
    """
    if (send is None) != (message is None):
        missing = "message" if message is None else "send"
        raise UserError("is missing: send and message must be given together.", option=missing)
    sending = None
    if send is not None and message is not None:
        sending = Sending(send, message, accept_quarantined, wait)
    source = opened(run)
    return submit_run(
        source,
        choose_correction(source, correction, (lower, upper)),
        accept_cost=accept_cost,
        sample=None if sample is None else Path(sample),
        choice=SubmissionChoice(values, predictions),
        out=None if out is None else Path(out),
        sending=sending,
    )
