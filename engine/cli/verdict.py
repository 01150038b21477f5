"""The commands `verdict` and `verdicts`: what a person says about an image's label."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from engine.cli import console
from engine.cli.options import AsJson, RunName
from engine.errors import UserError
from engine.runs.run import Run, open_run
from engine.runs.verdicts import CAUSES, VERDICTS, WRONG, Verdict


def verdict(
    run: RunName,
    id: Annotated[str, typer.Argument(metavar="ID", help="Of a labelled image, as in `report`.")],
    verdict: Annotated[
        str | None, typer.Argument(metavar="VERDICT", help=f"{', '.join(VERDICTS)}.")
    ] = None,
    class_: Annotated[
        str | None, typer.Option("--class", metavar="C", help=f"With {WRONG}: the right class.")
    ] = None,
    cause: Annotated[
        str | None, typer.Option(metavar="X", help=f"Why it is hard: {', '.join(CAUSES)}.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last word back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is true of an image's label; kept beside the data, never in it.

    A verdict belongs to the image's content and serves every run. `fit --verdicts` uses them.
    """
    from engine.runs.verdicts import amended, load_verdicts, say, take_back

    if undo and (verdict or class_ or cause):
        raise typer.BadParameter("--undo takes no verdict with it.")
    opened = open_run(run)
    image, label = _image(opened, id)
    before = load_verdicts().get(image.sha256)
    if undo:
        if take_back(image.sha256) is None:
            raise UserError(f"{id!r} has no verdict to take back.")
    else:
        if not (verdict or class_ or cause):
            raise typer.BadParameter("give a VERDICT, --class or --cause.")
        names = opened.class_names
        if class_ is not None and class_ not in names:
            raise UserError(f"--class {class_!r} is none of {', '.join(names[:10])}.")
        others = [name for name in names if name != label]
        say(amended(before, image, others, verdict or "", class_ or "", cause or ""))
    now = load_verdicts().get(image.sha256)
    value = {"id": id, "path": image.path, "verdict": asdict(now) if now else None}
    print(json.dumps(value)) if as_json else _said(value)


def verdicts(as_json: AsJson = False) -> None:
    """List the verdicts that stand."""
    from engine.runs.verdicts import load_verdicts

    standing = [asdict(one) for one in load_verdicts().values()]
    if as_json:
        print(json.dumps(standing))
        return
    table = console.columns("path", "verdict", "class", "cause", "reviewer", "time")
    for column in table.columns:
        column.justify = "left"
    for one in standing:
        cells = (one[key] for key in ("path", "verdict", "label", "cause", "reviewer", "time"))
        table.add_row(*map(console.literal, cells))
    console.console().print(table if standing else "No verdicts yet; give them in Errors.")


def _image(run: Run, id: str) -> tuple[Verdict, str]:
    """Return a blank verdict on a labelled image, and its label."""
    images = run.images
    rows = images[(images["id"] == id) & images["label"].notna()]
    if rows.empty:
        raise UserError(f"{id!r} is no labelled image of run {run.name}.")
    row = rows.iloc[0]
    return Verdict(row["sha256"], "", path=row["path"]), row["label"]


def _said(value: dict[str, Any]) -> None:
    now = value["verdict"]
    words = "no verdict" if now is None else now["verdict"]
    if now and now["label"]:
        words += f", truly {now['label']}"
    if now and now["cause"]:
        words += f", {now['cause']}"
    console.console().print(console.literal(f"{value['path']}: {words}"), soft_wrap=True)
