"""`backbones`: the networks that a fit can use, and their speed on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.console import columns, console, literal, print_result
from engine.cli.options import AsJson
from engine.cli.progress import watching


def backbones(
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Images to count, as `fit` reads them.")
    ] = None,
    backbone: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be given again.")
    ] = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Measure the networks without a speed, about 2 s each."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List torchvision's backbones, the most accurate first, and how fast they are here.

    Speeds come from earlier fits on this machine and from --measure; a measured speed does not
    include the decoding of images. Accuracy is that of the default weights on ImageNet, as
    published.
    """
    from engine.library.backbones import backbones as list_backbones

    with watching() as watcher:
        found = list_backbones(
            data, backbone=backbone or None, measure=measure, progress=watcher.progress
        )
    print_result(as_json, found.as_json(), _draw)


def _draw(value: dict[str, Any]) -> None:
    images = value["images"]
    titles = ["backbone", "accuracy", "parameters", "GFLOP", "images/s"]
    table = columns(*titles, *(["minutes"] if images is not None else []))
    for row in value["rows"]:
        speed, minutes = row["images_per_second"], row["minutes"]
        cells = [
            row["name"], f"{row['accuracy']:.1%}", f"{row['parameters'] / 1e6:,.1f} M",
            f"{row['gflop']:.2f}", "" if speed is None else f"{speed:,.1f}",
        ]  # fmt: skip
        if images is not None:
            cells.append("" if minutes is None else f"{minutes:,.1f}")
        table.add_row(*map(literal, cells))
    console().print(table)
    if images is not None:
        console().print(f"minutes for one pass over {images:,} images", style="dim")
    if any(row["images_per_second"] is None for row in value["rows"]):
        console().print("--measure measures the networks without a speed", style="dim")
