"""`next`: list what would lower the log loss of a run, with the gain of each step."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from engine.cli import console
from engine.cli.options import AsJson, RunName
from engine.cli.progress import watching

if TYPE_CHECKING:
    from engine.runs.next_steps import NextSteps


def next_steps(run: RunName, as_json: AsJson = False) -> None:
    """List what would lower the log loss most, with the gain that each step promises.

    Measured on labelled images that the model has not seen: another run of the same images, a
    blend, more images (a learning curve), more views, the correction, and suspected labels once
    `triage` has found them. A step that is not measured here says so. The Overview page shows the
    list.
    """
    from engine.library.next_steps import next_steps as measured

    with watching() as watcher:
        found = measured(run, progress=watcher.progress)
    print(json.dumps(found.as_json(), allow_nan=False)) if as_json else _draw(found)


def _draw(found: NextSteps) -> None:
    out = console.console()
    out.print(
        f"run [bold]{found.run}[/]: log loss {found.log_loss:.4f} on {found.n:,} images "
        f"({found.split})",
        soft_wrap=True,
    )
    for place, step in enumerate(found.steps, 1):
        out.print(console.literal(f"{place:>3}  {step.title}"), style="bold", soft_wrap=True)
        out.print(console.literal(f"     {step.estimate}; {step.time}"), soft_wrap=True)
        out.print(console.literal(f"     {step.reason}"), style="dim", soft_wrap=True)
        out.print(
            console.literal(f"     second-look {shlex.join(step.command)}"), style="dim",
            soft_wrap=True,
        )  # fmt: skip
    for note in found.notes:
        out.print(console.literal(note), style="dim", soft_wrap=True)
