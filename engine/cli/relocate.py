"""`relocate`: set the folder of a run's images after they were moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import console
from engine.cli.options import AsJson, RunName
from engine.cli.progress import watching


def relocate(
    run: RunName,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of the images, or the data folder.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say where the images of a run are now, after they were moved.

    Sizes and checksums are compared first; nothing is changed unless they agree.
    """
    from engine.library.relocation import relocate as relocate_run

    with watching() as watcher:
        found = relocate_run(run, folder, progress=watcher.progress)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        console.console().print(console.literal(found.sentence), soft_wrap=True)
