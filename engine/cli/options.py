"""Option types that several commands share: what may be chosen, and how `--help` says it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Train(StrEnum):
    """What is trained."""

    head = "head"
    all = "all"


class DeviceName(StrEnum):
    """Where the network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Precision(StrEnum):
    """In which numbers the network computes."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Labelled(StrEnum):
    """Which labelled images are looked at."""

    folds = "folds"
    valid = "valid"


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's name, its beginning, or [bold]latest[/].")
]
Lower = Annotated[float | None, typer.Option(help="Lower bound on P(positive); the run's, 0.025.")]
Upper = Annotated[float | None, typer.Option(help="Upper bound on P(positive); the run's, 0.975.")]
On = Annotated[
    Labelled | None,
    typer.Option(
        help="All labelled images out of fold, or the held-out ones; folds where there are any."
    ),
]
