"""`download`: all files of a Kaggle competition, checked, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.console import columns, console, literal, print_result
from engine.cli.options import AsJson
from engine.cli.progress import downloading


def download(
    competition: Annotated[
        str, typer.Argument(metavar="COMPETITION", help="The last part of its address.")
    ],
    to: Annotated[
        Path | None, typer.Option(help="Target folder; by default ./COMPETITION.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download and check all files of a Kaggle competition, or none."""
    from engine.competition.download import download as download_files

    with downloading() as progress:
        done = download_files(competition, to, progress)
    print_result(as_json, done.summary(), _draw)


def _draw(value: dict[str, Any]) -> None:
    """Print the downloaded files and their folder."""
    out = console()
    table = columns("file", "bytes")
    for file in value["files"]:
        table.add_row(literal(file["name"]), f"{file['bytes']:,}")
    out.print(table)
    if value["kept"]:
        out.print(f"{len(value['kept']):,} of them existed already", style="dim")
    out.print(literal(value["folder"]), style="bold", soft_wrap=True)
    out.print(literal(f"Next: second-look fit {value['folder']}"), style="dim")
