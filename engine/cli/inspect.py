"""`inspect`: what `fit` would read, before anything runs; `fit` prints its short form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from engine.cli.console import columns, console, literal
from engine.cli.options import AsJson, data_options
from engine.cli.progress import watching
from engine.runs.fit_defaults import checked_options
from engine.runs.fit_options import FitOptions

if TYPE_CHECKING:
    from engine.competition.inspection import Inspection
    from engine.data.dataset import Dataset

MOST_CLASSES = 12  # are listed for a person


@data_options
def inspect(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The images, as for fit.")],
    *,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Show what fit would read: classes, splits, labels, groups, the sample file, warnings.

    Nothing is written, and no network is loaded.
    """
    from engine.competition.inspection import inspection
    from engine.data.dataset import load_dataset
    from engine.data.layouts import DataSource

    chosen = checked_options(FitOptions(data, **options))
    with watching() as watcher:
        dataset = load_dataset(
            DataSource.chosen(chosen),
            valid=chosen.valid, sample=chosen.sample, sealed=chosen.sealed, seed=chosen.seed,
            progress=watcher.progress,
        )  # fmt: skip
    found = inspection(dataset, chosen.path)
    if as_json:
        print(json.dumps(found.summary(), ensure_ascii=True, allow_nan=False))
    else:
        show(found)


def show(found: Inspection) -> None:
    """Print everything that was found."""
    out = console()
    show_short(found, out)
    table = columns("class", "train", "valid", "test")
    for name in found.class_names[:MOST_CLASSES]:
        table.add_row(literal(name), *(f"{count:,}" for count in found.classes[name].values()))
    if len(found.class_names) > MOST_CLASSES:
        table.add_row(f"and {len(found.class_names) - MOST_CLASSES:,} more", "", "", "")
    out.print(table)
    for line in found.ignored_lines:
        out.print(literal(f"not read: {line}"), style="dim")


def show_short(found: Inspection, out: Console) -> None:
    """Print a short form of what was found."""
    n = found.n
    out.print(
        f"{len(found.class_names):,} classes; {n['train']:,} train, {n['valid']:,} valid, "
        f"{n['test']:,} test images, {n['quarantined']:,} quarantined"
        + (f", {n['sealed']:,} sealed" if "sealed" in n else "")
    )
    for subject, text in found.lines:
        out.print(literal(f"{subject + ':':<8}{text}"))
    for warning in found.warnings:
        out.print(literal(warning), style="yellow", soft_wrap=True)


def announce(dataset: Dataset, data: Path) -> None:
    """Print the short form on stderr, so that stdout holds only the result."""
    from engine.competition.inspection import inspection

    show_short(inspection(dataset, data), Console(stderr=True, highlight=False))
