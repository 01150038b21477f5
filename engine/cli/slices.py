"""`slices`: where a run makes more errors, by measurable properties of its images."""

from __future__ import annotations

import json
from typing import Any

from engine.cli import console
from engine.cli.options import AsJson, On, RunName
from engine.cli.progress import watching
from engine.runs.run import Run, open_run

_SHOWN = 12


def slices(run: RunName, on: On = None, as_json: AsJson = False) -> None:
    """List the log loss and errors of dark, blurred, small, narrow … images, highest loss first.

    Images are divided into fifths by brightness, contrast, sharpness, pixels, aspect and bytes,
    and by the cause given in verdicts; p-values are corrected for multiple testing. Of more than
    25,000 images, a random sample of 25,000 is used.
    """
    opened = open_run(run)
    with watching() as watcher:
        found, n, total = sliced(opened, on.value if on else None, watcher.progress)
    value = {
        "run": opened.name, "n": n, "of": total, "slices": [one.summary() for one in found]
    }  # fmt: skip
    print(json.dumps(value, allow_nan=False)) if as_json else _draw(value, found)


def sliced(run: Run, split: str | None = None, progress: Any = None) -> tuple[list[Any], int, int]:
    """Return the slices of a run, the number of images used, and the number of all images.

    Measures the images that have not been measured yet.
    """
    from engine.analysis.slices import cuts
    from engine.analysis.slices import slices as sliced_by
    from engine.data.properties import image_properties, sample_rows

    split = split or run.labelled_split
    predictions = run.predictions(split)
    total = len(predictions)
    predictions = predictions.take(sample_rows(total))
    cut_by = cuts(image_properties(run, split, predictions.ids, progress))
    return sliced_by(predictions, cut_by), len(predictions), total


def _draw(value: dict[str, Any], found: list[Any]) -> None:
    from engine.analysis.slice_text import described

    out = console.console()
    drawn = f"   {value['n']:,} of {value['of']:,} images, drawn at random"
    out.print(f"run [bold]{value['run']}[/]" + (drawn if value["n"] < value["of"] else ""))
    if not found:
        out.print("Too few images, or too few known properties, to form slices.")
        return
    table = console.columns("slice", "n", "incorrect", "log loss", "at least", "rest", "p")
    for column in table.columns[1:]:
        column.no_wrap = True
    for one in found[:_SHOWN]:
        table.add_row(
            console.literal(described(one)), f"{one.n:,}", f"{one.error_rate:.1%}",
            f"{one.log_loss:.4f}", f"{one.log_loss_interval[0]:.4f}", f"{one.rest:.4f}",
            f"{one.p_adjusted:.3f}",
        )  # fmt: skip
    out.print(table)
    marked = sum(one.stands_out for one in found)
    out.print(
        f"{marked:,} of {len(found):,} slices significant after correction for multiple testing"
        if marked
        else f"none of {len(found):,} slices significant after correction for multiple testing"
    )
