"""`export`: write a run's model for use elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import console
from engine.cli.options import AsJson, ModelFormat, RunName


def export(
    run: RunName,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="By default the run's name, .safetensors or .onnx."),
    ] = None,
    format: Annotated[
        ModelFormat | None,
        typer.Option(help="By default given by the suffix of FILE, else torchvision."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's model for torchvision or as ONNX, with a description and a model card.

    The network is loaded again and compared with the run's model on validation images first.
    """
    from engine.library.exporting import export as export_run

    made = export_run(run, out, format)
    if as_json:
        print(json.dumps(made.as_json()))
        return
    out_ = console.console()
    for file in (made.file, made.description, made.card):
        out_.print(console.literal(str(file)), soft_wrap=True)
    out_.print(
        f"probabilities of {made.checked} images differ from the run's by at most "
        f"{made.largest_difference:.1g}",
        style="dim",
    )
