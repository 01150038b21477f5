"""`demo`: draw images with known difficulties, and fit on them if asked."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from engine.cli.console import columns, console, literal, print_result
from engine.cli.fit import run_fit
from engine.cli.options import AsJson
from engine.cli.progress import watching


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder for the images; created if missing.")
    ],
    train: Annotated[int, typer.Option(help="Labelled images.")] = 1200,
    test: Annotated[int, typer.Option(help="Unlabelled images.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the drawings.")] = 0,
    fit: Annotated[bool, typer.Option("--fit", help="Also fit a small network on them.")] = False,
    into: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Draw cats and dogs in Kaggle's layout, some with known difficulties (planted.csv)."""
    from engine.data.demo import demo_options, draw_demo
    from engine.runs.progress import Reporter, run_lock
    from engine.runs.run_list import open_run

    run = open_run(into) if into else None
    with watching() as watcher, run_lock(run) if run else nullcontext():
        report = Reporter(run, watcher.progress) if run else watcher.progress
        summary = draw_demo(folder, train, test, seed, lambda done, n: report("draw", done, n))
    if run:
        run.set_status("queued")  # for the fit below
    drawn = {
        "folder": str(summary.folder),
        "train": summary.train,
        "test": summary.test,
        "planted": summary.planted,
    }
    if not (fit and as_json):
        print_result(as_json, drawn, _draw)
    if fit:
        run_fit(demo_options(folder), run, as_json)


def _draw(value: dict[str, Any]) -> None:
    """Print the counts of drawn images."""
    out = console()
    out.print(f"{value['train']:,} train and {value['test']:,} test images in", end=" ")
    out.print(literal(value["folder"]))
    table = columns("planted difficulty", "images")
    for kind, count in value["planted"].items():
        table.add_row(kind, f"{count:,}")
    out.print(table)
    out.print(
        Text("planted.csv lists the difficult images and what is wrong with each."), style="dim"
    )
