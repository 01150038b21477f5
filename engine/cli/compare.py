"""`compare`: which of two runs is better, and which images they predict differently."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.text import Text

from engine.cli import console
from engine.cli.options import AsJson, RunName
from engine.text import plain

_SHOWN = 10

OtherName = Annotated[str, typer.Argument(metavar="OTHER", help="The run to compare with.")]


def compare(run: RunName, other: OtherName, as_json: AsJson = False) -> None:
    """Compare two runs on the labelled images that both predicted.

    Differences are RUN minus OTHER, with 95 % intervals that also count an error not seen yet.
    Fixed images are classified correctly only by RUN, broken images only by OTHER.
    """
    from engine.analysis.reuse import reuse_sentence, runs_on_same_images
    from engine.library.review import compare as compare_runs
    from engine.runs.run_list import open_run

    compared = compare_runs(run, other)
    n_runs = runs_on_same_images(open_run(run))
    found = {
        **compared.as_json(),
        "runs_on_same_images": n_runs,
        "reuse": reuse_sentence(n_runs, *compared.losses),
    }
    print(json.dumps(found, allow_nan=False)) if as_json else _draw(found)


def _draw(value: dict[str, Any]) -> None:
    out = console.console()
    left_out = "".join(f"; {n:,} left out, {why}" for why, n in value["left_out"].items())
    out.print(f"{value['n']:,} images predicted by both{left_out}", style="dim")
    table = console.columns("", "run", "other", "difference", "95 % interval")
    for key, title in (("log_loss", "log loss"), ("accuracy", "accuracy")):
        low, high = value[f"{key}_interval"]
        table.add_row(
            title, *(f"{score:.4f}" for score in value[key]), f"{value[f'{key}_difference']:+.4f}",
            f"{low:+.4f} to {high:+.4f}",
        )  # fmt: skip
    out.print(table)
    fixed, broken = len(value["fixed"]), len(value["broken"])
    out.print(
        f"both correct {value['both_right']:,}   fixed [bold]{fixed:,}[/]   "
        f"broken [bold]{broken:,}[/]   both incorrect {value['both_wrong']:,}"
    )
    kappa = value["kappa"]
    test = "mid-p" if value["mcnemar"]["exact"] else "chi-square"
    out.print(
        f"McNemar p = {value['mcnemar']['p']:.4f} ({test}); equal predictions "
        f"{value['agreement']:.2%}, kappa {'undefined' if kappa is None else f'{kappa:.3f}'}"
    )
    for word in ("fixed", "broken"):
        if ids := value[word]:
            more = "" if len(ids) <= _SHOWN else f" and {len(ids) - _SHOWN:,} more"
            out.print(console.literal(f"{word}: {', '.join(ids[:_SHOWN])}{more}"), style="dim")
    out.print(Text(plain(value["verdict"]), style="bold"))
    if value["reuse"]:
        out.print(value["reuse"])
