"""`slices`: where a run makes more errors, by measurable properties of its images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import console
from engine.cli.options import AsJson, On, RunName
from engine.cli.progress import watching

if TYPE_CHECKING:
    from engine.analysis.slice_report import SliceReport

_SHOWN = 12


def slices(
    run: RunName,
    on: On = None,
    as_json: AsJson = False,
    measure: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """List the log loss and errors of dark, blurred, small, narrow … images, highest loss first.

    Images are divided into fifths by brightness, contrast, sharpness, pixels, aspect and bytes,
    and by the cause given in verdicts; p-values are corrected for multiple testing, and
    images that belong together count as one. Of more than 25,000 images, a random sample of 25,000
    is used.
    """
    from engine.data.properties import measure_split
    from engine.library.review import slices as find_slices
    from engine.runs.run_list import open_run

    with watching() as watcher:
        if measure:  # for the page, of images with or without labels
            measure_split(open_run(run), measure, watcher.progress)
            return
        found = find_slices(run, on.value if on else None, progress=watcher.progress)
    print(json.dumps(found.as_json(), allow_nan=False)) if as_json else _draw(found)


def _draw(found: SliceReport) -> None:
    from engine.analysis.slice_text import described

    out = console.console()
    drawn = f"   {found.n:,} of {found.of:,} images, drawn at random"
    out.print(f"run [bold]{found.run}[/]" + (drawn if found.n < found.of else ""))
    if not found.slices:
        out.print("Too few images, or too few known properties, to form slices.")
        return
    table = console.columns("slice", "n", "incorrect", "log loss", "at least", "rest", "p")
    for column in table.columns[1:]:
        column.no_wrap = True
    for one in found.slices[:_SHOWN]:
        table.add_row(
            console.literal(described(one)), f"{one.n:,}", f"{one.error_rate:.1%}",
            f"{one.log_loss:.4f}", f"{one.log_loss_interval[0]:.4f}", f"{one.rest:.4f}",
            f"{one.p_adjusted:.3f}",
        )  # fmt: skip
    out.print(table)
    marked = sum(one.stands_out for one in found.slices)
    out.print(
        f"{marked:,} of {len(found.slices):,} slices significant, corrected for multiple testing"
        if marked
        else f"none of {len(found.slices):,} slices significant, corrected for multiple testing"
    )
