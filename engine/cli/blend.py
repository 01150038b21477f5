"""`blend`: combine several runs into one run."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.text import Text

from engine.cli import console
from engine.cli.options import AsJson

RunNames = Annotated[
    list[str],
    typer.Argument(metavar="RUN RUN [RUN …]", help="Two or more runs.", show_default=False),
]


def blend(
    runs: RunNames,
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Blend several runs with the weights of lowest log loss, and save the blend as a run.

    The weights are chosen on out-of-fold predictions if all runs have them, else on the
    validation set; the gain over the best single run is cross-validated.
    """
    from engine.competition.blend import keep_blend, prepare_blend
    from engine.runs.run_list import open_run

    prepared = prepare_blend([open_run(run) for run in runs])
    made = keep_blend(prepared, name)
    value = {"run": made.name, **prepared.summary()}
    print(json.dumps(value, allow_nan=False)) if as_json else _draw(value)


def _draw(value: dict[str, Any]) -> None:
    out = console.console()
    table = console.columns("run", "weight", "as good", "log loss")
    for member in value["members"]:
        name, (low, high) = console.literal(member["run"]), member["weight_range"]
        weight, as_good = f"{member['weight']:.3f}", f"{low:.2f} to {high:.2f}"
        table.add_row(name, weight, as_good, f"{member['log_loss']:.4f}")
    out.print(table)
    out.print("as good: weights that these images do not show to be worse", style="dim")
    kinds = "   ".join(f"{kind} {loss:.4f}" for kind, loss in value["log_loss_by_kind"].items())
    at = f", temperature {value['temperature']:.2f}" if value["kind"] == "log odds" else ""
    out.print(f"blended: {value['kind']}{at}   [dim]cross-validated log loss of {kinds}[/]")
    low, high = value["gain_interval"]
    verdict = "better" if value["pays"] else "worse" if high < 0 else "no clear difference"
    out.print(
        f"log loss of the blend [bold]{value['cross_validated_log_loss']:.4f}[/], cross-validated "
        f"on {value['n']:,} images"
    )
    out.print(
        f"gain over the best run {value['gain']:+.4f}, 95 % {low:+.4f} to {high:+.4f}: {verdict}"
    )
    out.print(Text.assemble(("run ", "dim"), (value["run"], "bold")))
    out.print(Text(f"Next: second-look clip {value['run']}"), style="dim")
