"""`slices`: where a run fails, by what can be measured on its images."""

from __future__ import annotations

import json
from typing import Any

from engine.cli import console
from engine.cli.options import AsJson, On, RunName
from engine.cli.progress import watching
from engine.runs.run import Run, open_run

_SHOWN = 12


def slices(run: RunName, on: On = None, as_json: AsJson = False) -> None:
    """Show the log loss and errors of dark, blurred, small, narrow … images, the worst first.

    Images are cut into fifths by brightness, contrast, sharpness, pixels, aspect and bytes, and
    by the cause that verdicts name; p-values are corrected for many looks. Of more than 25,000
    images, as many are drawn.
    """
    opened = open_run(run)
    with watching() as watcher:
        found, n, total = sliced(opened, on.value if on else None, watcher.progress)
    value = {
        "run": opened.name, "n": n, "of": total, "slices": [one.summary() for one in found]
    }  # fmt: skip
    print(json.dumps(value, allow_nan=False)) if as_json else _draw(value, found)


def sliced(run: Run, split: str | None = None, progress: Any = None) -> tuple[list[Any], int, int]:
    """Return the slices of a run, the worst first, and of how many images of how many.

    Images not yet measured are measured.
    """
    from engine.analysis.slices import cuts
    from engine.analysis.slices import slices as sliced_by
    from engine.data.properties import image_properties, looked_at

    split = split or run.labelled_split
    predictions = run.predictions(split)
    total = len(predictions)
    predictions = predictions.take(looked_at(total))
    cut_by = cuts(image_properties(run, split, predictions.ids, progress))
    return sliced_by(predictions, cut_by), len(predictions), total


def _draw(value: dict[str, Any], found: list[Any]) -> None:
    from engine.analysis.slice_text import described

    out = console.console()
    drawn = f"   {value['n']:,} of {value['of']:,} images, drawn at random"
    out.print(f"run [bold]{value['run']}[/]" + (drawn if value["n"] < value["of"] else ""))
    if not found:
        out.print("There are too few images, or too little is known of them, to slice.")
        return
    table = console.columns("slice", "n", "wrong", "log loss", "at least", "rest", "p")
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
        f"{marked:,} of {len(found):,} slices stand out beyond what so many looks find by chance"
        if marked
        else f"none of {len(found):,} slices stands out beyond what so many looks find by chance"
    )
