"""`submit`: write the checked submission file and, with --send, send it to Kaggle."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import console
from engine.cli.options import AsJson, Lower, RunName, Upper, ValueKind
from engine.cli.progress import waiting


def submit(
    run: RunName,
    correction: Annotated[
        str,
        typer.Option(
            help="recommended, none, clip, temperature, platt or isotonic; the recommended one "
            "has the lowest expected log loss."
        ),
    ] = "recommended",
    lower: Lower = None,
    upper: Upper = None,
    sample: Annotated[
        Path | None, typer.Option(help="The competition's sample file; by default the one in DATA.")
    ] = None,
    values: Annotated[
        ValueKind | None,
        typer.Option(
            help="Write probabilities or the likeliest class; by default as in the sample."
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A table that predict --data made, or its folder; by default the test images.",
        ),
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
    accept_cost: Annotated[
        bool,
        typer.Option(
            help="Write the file even if the correction raises the log loss beyond noise."
        ),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="With --send: seconds to wait for the score.")
    ] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Write the checked submission file and, with --send, send it to Kaggle.

    The same file is recognised by its checksum and never sent twice.
    """
    from engine.library.submission import submit as submit_run

    if (send is None) != (message is None):
        raise typer.BadParameter("--send and --message must be given together.")
    with waiting("Sending to Kaggle") if send else nullcontext():
        made = submit_run(
            run, correction=correction, lower=lower, upper=upper, sample=sample, out=out,
            send=send, message=message, accept_quarantined=accept_quarantined,
            accept_cost=accept_cost, wait=wait,
            values=values.value if values else None, predictions=predictions,
        )  # fmt: skip
    for id in made.quarantined[:10]:
        print(f"{id!r} cannot be read and got the base rate.", file=sys.stderr)
    value = made.as_json()
    print(json.dumps(value, allow_nan=False)) if as_json else console.submit(value)
