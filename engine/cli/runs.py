"""`runs`: list all runs, name, annotate, delete and restore one, or remove what is out of date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.console import columns, console, literal, print_result
from engine.cli.options import AsJson
from engine.cli.predict import draw_predicted, predicted_values
from engine.errors import UserError
from engine.text import plain

if TYPE_CHECKING:
    from engine.runs.run import Run

_ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "loss": lambda line: (line["log_loss"] is None, line["log_loss"]),
    "accuracy": lambda line: (line["accuracy"] is None, -(line["accuracy"] or 0)),
    "name": lambda line: (line["name"] or line["run"]).casefold(),
}


def runs(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Only this run, by its name or its beginning."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Display name for RUN; an empty one removes it.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Note on RUN; an empty one removes it.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Move RUN to the bin.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Take RUN out of the bin.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="List the runs in the bin.")] = False,
    empty_bin: Annotated[
        bool, typer.Option("--empty-bin", help="Remove the runs in the bin for good.")
    ] = False,
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Remove caches that are out of date, and temporary files."),
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(help="Order of the list: newest (the default), loss, accuracy or name."),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(help="List only runs with these words in name, note, backbone or status."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List all runs; name, annotate, delete or restore one."""
    from engine.runs import run_bin
    from engine.runs.caches import sweep
    from engine.runs.run_about import write_about
    from engine.runs.run_list import list_runs, named

    asked = [name is not None or note is not None, delete, restore, deleted, empty_bin, clean]
    if sum(asked) > 1:
        raise typer.BadParameter(
            "give only one of --name, --delete, --restore, --deleted, --empty-bin and --clean."
        )
    if run is None and any(asked[:3]):
        raise typer.BadParameter("name the run: second-look runs RUN …")
    if run is not None and (any(asked[3:]) or sort or search):
        raise typer.BadParameter("leave RUN out: this applies to all runs.")
    if (sort or search) and (empty_bin or clean):
        raise typer.BadParameter("sort and search belong to the list of runs.")
    if clean:
        print_result(as_json, asdict(sweep()), _draw_swept)
    elif empty_bin:
        print_result(as_json, asdict(run_bin.empty_bin()), _draw_emptied)
    elif run is not None:
        draw = _draw
        if delete:
            found, draw = run_bin.delete_run(run), _draw_deleted
        elif restore:
            found, draw = run_bin.restore_run(run), _draw_restored
        else:
            found = named(run)
            if asked[0]:
                write_about(found.folder, name, note)
        print_result(as_json, [_line(found)], draw)
    else:
        lines = [_line(each) for each in list_runs("bin" if deleted else "runs")]
        none = _draw_no_deleted if deleted else _draw
        none = _draw_none_found if lines and search else none
        lines = _in_order([each for each in lines if _has_words(each, search or "")], sort)
        print_result(as_json, lines, _draw if lines else none)


def _has_words(line: dict[str, Any], words: str) -> bool:
    """Return whether a run has every word, in any case."""
    keys = ("run", "name", "note", "backbone", "status")
    text = "\n".join(str(line[key] or "") for key in keys).casefold()
    return all(word in text for word in words.casefold().split())


def _in_order(lines: list[dict[str, Any]], sort: str | None) -> list[dict[str, Any]]:
    """Return runs, the newest first, in the order that is asked for; those without it last."""
    if sort in (None, "newest"):
        return lines
    if sort not in _ORDERS:
        raise UserError(
            f"is unknown; choose newest, {', '.join(_ORDERS)}.", option="sort", value=sort
        )
    return sorted(lines, key=_ORDERS[sort])


def _line(run: Run) -> dict[str, Any]:
    if reason := run.damage:
        return _damaged(run, reason)
    config, scores = run.config, run.config.scores
    return {
        "run": run.name,
        "name": run.title if run.title != run.name else None,
        "note": run.about.note,
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
        "run": run.name, **unknown, "note": "", "status": "damaged", "predicted": [],
        "reason": reason,
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
        for text in (line["note"], line.get("reason")):
            if text:
                out.print(literal(f"{line['run']}: {plain(text)}"), style="dim")
        if line["predicted"]:
            out.print(literal(line["run"]), style="dim")
            draw_predicted(out, line["predicted"])


def _draw_deleted(value: list[dict[str, Any]]) -> None:
    name = value[0]["run"]
    said = f"{name} is in the bin; `second-look runs {name} --restore` restores it."
    console().print(literal(said), soft_wrap=True)


def _draw_restored(value: list[dict[str, Any]]) -> None:
    console().print(literal(f"{value[0]['run']} is restored."), soft_wrap=True)


def _draw_no_deleted(_: list[dict[str, Any]]) -> None:
    console().print("The bin is empty.")


def _draw_none_found(_: list[dict[str, Any]]) -> None:
    console().print("No run has these words in its name, note, backbone or status.")


def _draw_emptied(value: dict[str, int]) -> None:
    """Print what ``runs --empty-bin`` removed."""
    count = value["runs"]
    console().print(
        f"Freed {value['bytes'] / 1e6:,.1f} MB: {count:,} deleted run{'s' * (count != 1)}."
    )


def _draw_swept(value: dict[str, int]) -> None:
    """Print what ``runs --clean`` removed."""
    out = console()
    out.print(
        f"Freed {value['bytes'] / 1e6:,.1f} MB: caches of earlier decoding rules "
        f"({value['caches']:,}) and temporary files ({value['temporary']:,})."
    )
    if value["in_use"]:
        out.print(f"{value['in_use']} are in use and were left; clean again later.")
