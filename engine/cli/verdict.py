"""`verdict` and `verdicts`: record and list what a person decided about an image's label."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import console
from engine.cli.options import AsJson, RunName
from engine.errors import UserError
from engine.runs.verdicts import CAUSES, VERDICTS, WRONG, Verdict

if TYPE_CHECKING:
    from engine.runs.run import Run


def verdict(
    run: RunName,
    id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a labelled image, as in `report`.")
    ],
    verdict: Annotated[
        str | None, typer.Argument(metavar="VERDICT", help=f"{', '.join(VERDICTS)}.")
    ] = None,
    class_: Annotated[
        str | None, typer.Option("--class", metavar="C", help=f"With {WRONG}: the correct class.")
    ] = None,
    cause: Annotated[
        str | None,
        typer.Option(metavar="X", help=f"Why the image is difficult: {', '.join(CAUSES)}."),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Undo the last verdict on this image.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Record whether an image's label is correct; the data folder is not changed.

    A verdict applies to the image's content and label in every run; an identical image with
    another label has its own. `fit --verdicts` uses the verdicts.
    """
    from engine.runs.run_list import open_run
    from engine.runs.verdict_effects import amended, identical_images
    from engine.runs.verdicts import load_verdicts, save_verdict, undo_verdict

    if undo and (verdict or class_ or cause):
        raise typer.BadParameter("use --undo without a verdict.")
    opened = open_run(run)
    image, label = _image(opened, id)
    before = load_verdicts().of(image.sha256, image.given)
    if undo:
        if undo_verdict(image.sha256, image.given) is None:
            raise UserError(f"{id!r} has no verdict to undo.")
    else:
        if not (verdict or class_ or cause):
            raise typer.BadParameter("give a VERDICT, --class or --cause.")
        names = opened.class_names
        if class_ is not None and class_ not in names:
            raise UserError(
                f"is unknown; choose from {', '.join(names[:10])}.", option="class", value=class_
            )
        others = [name for name in names if name != label]
        save_verdict(amended(before, image, others, verdict or "", class_ or "", cause or ""))
    known = load_verdicts()
    now = known.of(image.sha256, image.given)
    value: dict[str, Any] = {"id": id, "path": image.path, "verdict": asdict(now) if now else None}
    value["twins"] = [
        {**asdict(twin), "verdict": said and asdict(said)}
        for twin in identical_images(opened.images, id)
        for said in [known.of(image.sha256, twin.given)]
    ]
    print(json.dumps(value)) if as_json else _draw(value)


def verdicts(as_json: AsJson = False) -> None:
    """List the current verdicts."""
    from engine.runs.verdicts import load_verdicts

    standing = [asdict(one) for one in load_verdicts().standing.values()]
    if as_json:
        print(json.dumps(standing))
        return
    table = console.columns("path", "label", "verdict", "class", "cause", "reviewer", "time")
    for column in table.columns:
        column.justify = "left"
    for one in standing:
        cells = (
            one[key] for key in ("path", "given", "verdict", "label", "cause", "reviewer", "time")
        )
        table.add_row(*map(console.literal, cells))
    console.console().print(table if standing else "No verdicts yet; add them on the Errors page.")


def _image(run: Run, id: str) -> tuple[Verdict, str]:
    """Return an empty verdict for a labelled image, and the image's label."""
    from engine.runs.verdict_effects import given_labels

    images = run.images
    rows = images[(images["id"] == id) & images["label"].notna()]
    if rows.empty:
        raise UserError(f"{id!r} is not a labelled image of run {run.name}.")
    row, given = rows.iloc[0], given_labels(rows).iloc[0]
    return Verdict(row["sha256"], "", path=row["path"], given=given), row["label"]


def _draw(value: dict[str, Any]) -> None:
    _line(value["path"], value["verdict"])
    for twin in value["twins"]:
        _line(f"identical: {twin['path']}, labelled {twin['given']}", twin["verdict"])


def _line(image: str, now: dict[str, Any] | None) -> None:
    words = "no verdict" if now is None else now["verdict"]
    if now and now["label"]:
        words += f", correct label {now['label']}"
    if now and now["cause"]:
        words += f", {now['cause']}"
    console.console().print(console.literal(f"{image}: {words}"), soft_wrap=True)
