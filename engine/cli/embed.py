"""`embed`: compute a two-dimensional map of a run's images."""

from __future__ import annotations

import json
import os
import time
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from engine.cli.options import AsJson, RunName
from engine.cli.progress import watching
from engine.text import plain


class Method(StrEnum):
    """The projection from features to two coordinates."""

    pca = "pca"
    tsne = "tsne"


def embed(
    run: RunName,
    method: Annotated[
        Method, typer.Option(help="pca is instant; tsne keeps similar images together.")
    ] = (Method.pca),
    as_json: AsJson = False,
) -> None:
    """Map all images of a run to two dimensions by their features, for the Map page."""
    # Waiting threads must not spin: on a busy machine t-SNE took ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from engine.model.embed import embed as embed_run
    from engine.runs.maps import load_map
    from engine.runs.run_list import open_run

    opened, begun = open_run(run), time.monotonic()
    with watching() as watcher:
        file = embed_run(opened, method.value, watcher.progress)
    n, seconds = load_map(opened, method.value).num_rows, round(time.monotonic() - begun, 3)
    if as_json:
        print(json.dumps({"run": opened.name, "method": method.value, "file": str(file), "n": n,
                          "seconds": seconds}))  # fmt: skip
        return
    out = Console(highlight=False)
    out.print(f"{n:,} images by {method.value} in {seconds:.1f} s")
    out.print(Text(plain(str(file))), style="dim", soft_wrap=True)
