"""`triage`: list the labels of a run that should be checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import console
from engine.cli.options import AsJson, RunName
from engine.cli.progress import watching

if TYPE_CHECKING:
    from engine.analysis.suspects import Triage


def triage(
    run: RunName,
    n: Annotated[int, typer.Option(min=1, help="Number of suspects to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List suspected wrong labels, odd images, near-duplicates and leaks, each with its reason.

    Combines confident learning on out-of-fold predictions, neighbours in feature space and
    atypicality in one ranking. The Errors page shows it under Suspects.
    """
    from engine.library.review import triage as find_suspects

    with watching() as watcher:
        found = find_suspects(run, progress=watcher.progress)
    print(json.dumps(found.as_json(n), allow_nan=False)) if as_json else _draw(found, n)


def _draw(found: Triage, n: int) -> None:
    out = console.console()
    counts = ", ".join(f"{count:,} {kind}" for kind, count in found.kinds.items())
    counts = f" ({counts})" if counts else ""
    out.print(f"run [bold]{found.run}[/]: {len(found.suspects):,} suspects{counts}")
    for place, suspect in enumerate(found.suspects[:n], 1):
        line = f"{place:>3}  {suspect.path}  {suspect.label}"
        line += f" → {suspect.suggested}" if suspect.suggested else ""
        out.print(console.literal(line), soft_wrap=True)
        out.print(console.literal(f"     {suspect.kind}. {suspect.reason}"), style="dim")
