"""`explain`: heat maps and nearest training images of one image."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli.options import AsJson, RunName
from engine.errors import UserError
from engine.runs.opening import read_file
from engine.text import plain

if TYPE_CHECKING:
    from engine.runs.explanations import Explanation

_NETWORKS = 2  # in memory: Compare asks for the maps of two runs in turn


def explain(
    run: RunName,
    id: Annotated[
        str, typer.Argument(metavar="ID", help="The image's id, such as [bold]cat.12[/].")
    ] = "",
    split: Annotated[
        str | None,
        typer.Option(help="Split of the image: valid, train or test; by default all three."),
    ] = None,
    serve: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: AsJson = False,
) -> None:
    """Show the areas of an image that are evidence for a class, and similar training images.

    Writes a heat map (Grad-CAM) for the predicted and for the true class, and lists the nearest
    training images in feature space. Requires a convolutional backbone.
    """
    if serve:
        _serve()
        return
    if not id:
        raise typer.BadParameter("give the ID of an image.")
    from engine.data.overlays import laid_over
    from engine.model.explain import Explainer
    from engine.runs.files import write_atomic
    from engine.runs.run_list import open_run

    opened = open_run(run)
    found = Explainer(opened).explain(id, split)
    content = _content(opened.data_root / found["path"], opened.name)
    for each in found["maps"]:
        drawn = Path(each["file"])
        over = drawn.with_name(f"{drawn.stem}-over.png")
        write_atomic(over, laid_over(content, read_file(drawn)))
        each["over"] = str(over)
    if as_json:
        print(json.dumps(found))
    else:
        draw(found)


def _content(file: Path, run: str) -> bytes:
    try:
        return read_file(file)
    except OSError as error:
        raise UserError(
            f"{file} cannot be read ({error.strerror}); if the images were moved, name their "
            f"folder with `second-look relocate {run} DIR`."
        ) from error


def draw(found: Explanation) -> None:
    """Print an explanation."""
    out = Console(highlight=False)
    classes = [f"predicted {found['predicted']}"] + [f"true {found['true']}"] * bool(found["true"])
    out.print(_text(f"{found['id']} ({found['split']}): {', '.join(classes)}"), style="bold")
    if found["model_note"]:
        out.print(_text(found["model_note"]), style="yellow")
    for each in found["maps"]:
        name = f"{each['class']} ({' and '.join(each['roles'])})"
        if each["blank"]:
            out.print(_text(f"No area of the image is evidence for {name}."))
        else:
            out.print(_text(f"Evidence for {name}: {each['over']}"), soft_wrap=True)
    if found["note"]:
        out.print(_text(found["note"]), style="yellow")
        return
    table = Table("nearest training image", "label", box=None, pad_edge=False)
    table.add_column("distance", justify="right")
    for near in found["neighbours"]:
        table.add_row(_text(near["id"]), _text(near["label"]), f"{near['distance']:.4f}")
    out.print(table)


def _text(text: str) -> Text:
    return Text(plain(text))


def _serve() -> None:
    from engine.model.explain import Explainer
    from engine.model.try_image import ImagePredictor
    from engine.runs.run_list import open_run
    from engine.runs.worker import serve

    opened: dict[tuple[type, str], Any] = {}

    def of(kind: type, name: str) -> Any:
        if (kind, name) not in opened:
            for oldest in list(opened)[: 1 - _NETWORKS]:
                del opened[oldest]
            opened[kind, name] = kind(open_run(name))
        return opened[kind, name]

    def answer(question: Mapping[str, Any]) -> dict[str, Any]:
        name, id, split, image = (question.get(key) for key in ("run", "id", "split", "image"))
        if isinstance(name, str) and question.get("open") is True:
            of(ImagePredictor, name)
            return {"opened": name}
        kind: type = Explainer if image is None else ImagePredictor
        if not isinstance(name, str) or not isinstance(id if image is None else image, str):
            raise UserError("each request needs a run, and an id or an image, as text.")
        if image is None:
            only = split if isinstance(split, str) else None
            found: dict[str, Any] = of(kind, name).explain(id, only)
        else:
            found = of(kind, name).of(base64.b64decode(image)).plain()
        if found["note"]:  # do not keep it: what is missing may exist at the next request
            del opened[kind, name]
        return found

    serve(answer)
