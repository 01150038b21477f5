"""`import`: make a run from another tool's predictions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.console import console, literal, print_result
from engine.cli.fit import draw_run
from engine.cli.options import AsJson
from engine.cli.progress import watching


def import_predictions(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .parquet table.")],
    images: Annotated[Path, typer.Option(help="The folder of the images.")],
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    sample: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The sample file, if FILE is a submission in its form."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="The class whose probability the only column holds."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a run from the predictions of another tool.

    The table needs a column id or path, and one probability column per class or one for the
    positive class; label is empty for test images. Other usual names are known too, such as
    filename, y_true and score.
    """
    from engine.data.import_predictions import import_run

    with watching() as watcher:
        made = import_run(file, images, name, watcher.progress, sample=sample, positive=positive)
    config = made.run.config
    scores = asdict(config.scores) if config.scores else {}
    value = {
        "run": made.run.name,
        "n": asdict(config.n),
        "valid": scores,
        "images": {"found": made.found, "missing": made.missing, "ambiguous": made.ambiguous},
        "labels_read_as": made.renamed,
    }
    print_result(as_json, value, _draw)


def _draw(value: dict[str, Any]) -> None:
    """Print the run, and how many rows have no image or were read as another text."""
    out = console()
    counts = value["images"]
    if counts["missing"] or counts["ambiguous"]:
        out.print(
            f"{counts['found']:,} rows have an image, {counts['missing']:,} have none, and "
            f"{counts['ambiguous']:,} fit several images",
            style="yellow",
        )
    for text, name in value["labels_read_as"].items():
        out.print(literal(f"label {text} was read as {name}"), style="yellow")
    draw_run(value)
