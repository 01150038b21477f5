"""`triage`: list the labels of a run that should be checked."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from engine.cli import console
from engine.cli.options import AsJson, RunName
from engine.cli.progress import watching
from engine.runs.run import open_run


def triage(
    run: RunName,
    n: Annotated[int, typer.Option(min=1, help="Number of suspects to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List suspected wrong labels, odd images, near-duplicates and leaks, each with its reason.

    Combines confident learning on out-of-fold predictions, neighbours in feature space and
    atypicality in one ranking. The Errors page shows it under Suspects.
    """
    import os

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # see `embed`
    from engine.model.triage import triage as triage_run

    opened = open_run(run)
    with watching() as watcher:
        found = triage_run(opened, watcher.progress)
    kinds = found["kind"].value_counts()
    value = {
        "run": opened.name,
        "n": len(found),
        "kinds": {str(kind): int(count) for kind, count in kinds.items()},
        "suspects": found.head(n).to_dict("records"),
    }
    print(json.dumps(value, allow_nan=False)) if as_json else _draw(value)


def _draw(value: dict[str, Any]) -> None:
    out = console.console()
    counts = ", ".join(f"{count:,} {kind}" for kind, count in value["kinds"].items())
    out.print(
        f"run [bold]{value['run']}[/]: {value['n']:,} suspects" + f" ({counts})" * bool(counts)
    )
    for place, row in enumerate(value["suspects"], 1):
        line = f"{place:>3}  {row['path']}  {row['label']}"
        line += f" → {row['suggested']}" if row["suggested"] else ""
        out.print(console.literal(line), soft_wrap=True)
        out.print(console.literal(f"     {row['kind']}. {row['reason']}"), style="dim")
