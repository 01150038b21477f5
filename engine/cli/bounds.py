"""`bounds`: compare corrections of the probabilities, also for a harder test set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import console
from engine.cli.options import AsJson, On, RunName
from engine.errors import UserError

if TYPE_CHECKING:
    from engine.runs.run import Run


def bounds(
    run: RunName,
    worse: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Assumed drop in test accuracy (percentage points); by default estimated from the "
            "scores of this run's submissions, or 0 without scores.",
        ),
    ] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Compare no correction, clipping, temperature and others on images they were not fitted on.

    The recommended one has the lowest log loss to expect; its gain is cross-validated.
    """
    from engine.runs.run_list import open_run

    opened = open_run(run)
    value = {"run": opened.name, **recommendation_values(opened, worse, on.value if on else None)}
    print(json.dumps(value, allow_nan=False)) if as_json else _draw(value)


def recommendation_values(
    run: Run, points: float | None = None, split: str | None = None
) -> dict[str, Any]:
    """Return the JSON content of the command.

    Raises
    ------
    UserError
        If there are no or too few labelled images, or ``points`` is out of range.
    """
    from engine.analysis.estimated_drop import estimated_drop
    from engine.analysis.recommendation import compare_corrections
    from engine.analysis.shift import shifted_loss
    from engine.competition.correction import positive_index
    from engine.competition.records import scored_bounds
    from engine.data.image_groups import image_groups

    split = split or run.labelled_split
    predictions = run.predictions(split)
    if not predictions.labelled:
        raise UserError(
            f"run {run.name} has no labelled images to compare corrections on; choose a run that "
            "has some."
        )
    y, p, positive = predictions.y_true, predictions.probabilities, positive_index(run)
    groups = image_groups(run, split, predictions)
    try:
        compared = compare_corrections(y, p, positive, groups=groups)
        scores = scored_bounds(run.folder / "submissions")
        estimated = None
        if scores:
            at = shifted_loss(y, p, 0, positive)
            n_test = run.config.n.test
            estimated = estimated_drop(y, p, at, scores, n_test, positive, groups=groups)
        asked = points if points is not None else (estimated.points if estimated else 0.0)
    except ValueError as error:
        raise UserError(f"run {run.name}: {error}.") from error
    try:
        harder = shifted_loss(y, p, asked, positive)
    except ValueError as error:
        raise UserError(f"cannot be used: {error}.", option="worse", value=points) from error
    return {
        "on": split,
        **compared.summary(),
        "worse": {
            **harder.summary(run.bounds),
            "learned": estimated.points if estimated else None,
            "learned_interval": list(estimated.interval) if estimated else None,
            "learned_sentence": estimated.sentence if estimated else None,
            "scores": [
                {"lower": low, "upper": high, "score": score} for low, high, score in scores
            ],
        },
    }


def _draw(value: dict[str, Any]) -> None:
    out = console.console()
    out.print(f"run [bold]{value['run']}[/]   n = {value['n']:,}")
    table = console.columns("correction", "log loss", "to none", "low", "high")
    table.columns[0].no_wrap = True
    for line in value["corrections"]:
        name = f"{line['title']} *" if line["name"] == value["recommended"] else line["title"]
        figures = (line["difference"], *line["interval"])
        table.add_row(name, f"{line['log_loss']:.5f}", *(f"{figure:+.5f}" for figure in figures))
    out.print(table)
    for line in value["left_out"]:
        out.print(f"left out: {line['title'].lower()}, {line['reason']}", style="dim")
    out.print(value["sentence"], style="bold")
    worse = value["worse"]
    if worse["learned_sentence"] is not None:
        out.print(worse["learned_sentence"])
    if worse["points"] == 0:
        out.print("--worse 0.5 shows the effect of a test accuracy half a point lower", style="dim")
        return
    best = worse["best_symmetric"]
    out.print(
        f"if test accuracy is {worse['points']:.3g} points lower: log loss {worse['raw']:.5f} "
        f"without clipping, {worse['at_chosen']:.5f} at the run's bounds, {best['log_loss']:.5f} "
        f"at {best['lower']:.4g} to {best['upper']:.6g}, the best bounds; without the drop, those "
        f"change the log loss by {best['cost_if_not_worse']:+.5f}"
    )
