"""`runs`: list all runs, or remove what is out of date."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.console import columns, console, literal, print_result
from engine.cli.options import AsJson
from engine.cli.predict import draw_predicted, predicted_values
from engine.text import plain

if TYPE_CHECKING:
    from engine.runs.run import Run


def runs(
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove caches that are out of date, and leftovers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List all runs."""
    from engine.runs.caches import sweep
    from engine.runs.run import list_runs

    if clean:
        print_result(as_json, asdict(sweep()), _draw_swept)
        return
    lines = []
    for run in list_runs():
        lines.append(_damaged(run, run.damage) if run.damage else _line(run))
    print_result(as_json, lines, _draw)


def _line(run: Run) -> dict[str, Any]:
    config, scores = run.config, run.config.scores
    return {
        "run": run.name,
        "name": config.name,
        "created": config.created,
        "backbone": config.backbone,
        "status": run.status.state,
        "accuracy": scores.accuracy if scores else None,
        "log_loss": scores.log_loss if scores else None,
        "predicted": predicted_values(run),
    }


def _damaged(run: Run, reason: str) -> dict[str, Any]:
    unknown = dict.fromkeys(("name", "created", "backbone", "accuracy", "log_loss"))
    return {
        "run": run.name, **unknown, "status": "damaged", "predicted": [], "reason": reason,
    }  # fmt: skip


def _draw(value: list[dict[str, Any]]) -> None:
    """Print the table of runs."""
    out = console()
    if not value:
        out.print("No runs yet; start with: second-look demo demo --fit")
        return
    table = columns("run", "name", "status", "valid accuracy", "valid log loss")
    for line in value:
        table.add_row(
            literal(line["run"]), literal(line["name"] or ""), line["status"],
            *("" if line[key] is None else f"{line[key]:.4f}" for key in ("accuracy", "log_loss")),
        )  # fmt: skip
    out.print(table)
    for line in value:
        if reason := line.get("reason"):
            out.print(literal(f"{line['run']}: {plain(reason)}"), style="dim")
        if line["predicted"]:
            out.print(literal(line["run"]), style="dim")
            draw_predicted(out, line["predicted"])


def _draw_swept(value: dict[str, int]) -> None:
    """Print what ``runs --clean`` removed."""
    out = console()
    out.print(
        f"Freed {value['bytes'] / 1e6:,.1f} MB: caches of earlier decoding rules "
        f"({value['caches']:,}) and temporary files ({value['temporary']:,})."
    )
    if value["in_use"]:
        out.print(f"{value['in_use']} are in use and were left; clean again later.")
