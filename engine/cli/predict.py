"""`predict`: predict images with a fitted run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from engine.cli.console import console, literal, print_result
from engine.cli.options import AsJson, RunName
from engine.cli.progress import watching

if TYPE_CHECKING:
    from engine.runs.run import Run


def predict(
    run: RunName,
    data: Annotated[
        Path | None, typer.Option(help="Folder of new images; by default the run's test images.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict images with a fitted run, using cached features where possible."""
    from engine.model.predict import predict as predict_images
    from engine.runs.run_list import open_run

    with watching() as watcher:
        made = predict_images(open_run(run), data, watcher.progress)
    print_result(as_json, made.summary(), _draw)


def _draw(value: dict[str, Any]) -> None:
    """Print the counts and scores of new predictions."""
    out = console()
    out.print(
        f"{value['n']:,} predicted, {value['quarantined']:,} quarantined, "
        f"{value['forward_passes']:,} forward passes"
    )
    if value.get("log_loss") is not None:
        out.print(f"accuracy {value['accuracy']:.4f}   log loss {value['log_loss']:.4f}")
    out.print(literal(value["file"]), style="dim", soft_wrap=True)


def predicted_values(run: Run) -> list[dict[str, Any]]:
    """Return the tables that `predict --data` made, as plain values."""
    from engine.runs.predicted import predicted_tables

    return [asdict(table) for table in predicted_tables(run)]


def draw_predicted(out: Console, tables: list[dict[str, Any]]) -> None:
    """Print the tables that `predict --data` made, one per line."""
    from engine.runs.predicted import PredictedTable

    for table in tables:
        text = f"predicted: {PredictedTable(**table).line}"
        out.print(literal(text), style="dim", soft_wrap=True)
