"""`submit`: write the checked submission file and, with --send, send it to Kaggle."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import console
from engine.cli.options import AsJson, Lower, RunName, Upper
from engine.cli.progress import waiting
from engine.runs.run import Run, open_run


def submit(
    run: RunName,
    lower: Lower = None,
    upper: Upper = None,
    sample: Annotated[
        Path | None, typer.Option(help="The competition's sample file; by default the one in DATA.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the file here.")] = None,
    send: Annotated[
        str | None, typer.Option(metavar="COMPETITION", help="Then send it to Kaggle.")
    ] = None,
    message: Annotated[
        str | None, typer.Option(help="With --send: description of the submission.")
    ] = None,
    accept_quarantined: Annotated[
        bool, typer.Option(help="With --send: accept the base rate for unreadable images.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="With --send: seconds to wait for the score.")
    ] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Write the checked submission file and, with --send, send it to Kaggle.

    The same file is recognised by its checksum and never sent twice.
    """
    from engine.competition.prepare import prepare_submission
    from engine.competition.records import write_submission
    from engine.competition.sending import check_sending, send_submission, wait_for_score

    if (send is None) != (message is None):
        raise typer.BadParameter("--send and --message go together.")
    opened = open_run(run)
    low, high = chosen_bounds(opened, lower, upper)
    submission = prepare_submission(opened, low, high, sample)
    if send is not None and message is not None:
        send = check_sending(send, message, list(submission.flagged), accept_quarantined)
    file = write_submission(
        opened.folder / "submissions", submission, run=opened.name, now=datetime.now(UTC), out=out
    )
    for id in submission.flagged[:10]:
        print(f"{id!r} cannot be read and got the base rate.", file=sys.stderr)
    checks = [{"name": c.name, "passed": c.passed, "message": c.message} for c in submission.checks]
    sent = None
    if send is not None and message is not None:
        with waiting("Sending to Kaggle"):
            send_submission(opened, file, send, message)
        with waiting("Waiting for the score"):
            sent = wait_for_score(file, wait)
    value = {
        "file": str(out or file),
        "rows": len(submission.ids),
        "lower": low,
        "upper": high,
        "checks": checks,
        "quarantined": list(submission.flagged),
        "kaggle": sent,
    }
    print(json.dumps(value, allow_nan=False)) if as_json else console.submit(value)


def chosen_bounds(run: Run, lower: float | None, upper: float | None) -> tuple[float, float]:
    """Return the given bounds, completed by the run's own."""
    kept = run.bounds
    return kept[0] if lower is None else lower, kept[1] if upper is None else upper
