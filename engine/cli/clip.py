"""`clip`: the effect of clip bounds on the log loss."""

from __future__ import annotations

from typing import Any

from engine.cli.console import columns, console, print_result
from engine.cli.options import AsJson, Lower, On, RunName, Upper


def clip(
    run: RunName, lower: Lower = None, upper: Upper = None, on: On = None, as_json: AsJson = False
) -> None:
    """Show the effect of clip bounds on the log loss, and the best bounds."""
    from engine.library.run_list import opened
    from engine.library.run_report import checked_split, clipped

    found = opened(run)
    split = checked_split(found, on.value if on else None)
    value = clipped(found, split, lower, upper).as_json()
    print_result(as_json, {"run": found.name, "on": split, **value}, _draw)


def _draw(value: dict[str, Any]) -> None:
    """Print the effect of the bounds."""
    out = console()
    before, after = value["log_loss_before"], value["log_loss_after"]
    out.print(
        f"bounds {value['lower']:g} to {value['upper']:g}: log loss {before:.5f} → "
        f"[bold]{after:.5f}[/] ({after - before:+.5f})"
    )
    touched, cost = value["touched"], value["wrong_cost"]
    out.print(
        f"predictions changed by clipping: {touched['below']:,} below, {touched['above']:,} above, "
        f"of {touched['of']:,}"
    )
    if cost["log_loss"] is not None:
        out.print(
            f"one confident error among {cost['n']:,} images adds {cost['log_loss']:.6f} to the "
            "log loss at these bounds"
        )
    table = columns("best on this validation set", "lower", "upper", "log loss")
    for kind in ("symmetric", "independent"):
        best = value[f"best_{kind}"]
        table.add_row(
            kind, f"{best['lower']:.5f}", f"{best['upper']:.5f}", f"{best['log_loss']:.5f}"
        )
    out.print(table)
    low, high = value["interval"]
    out.print(f"symmetric bounds from {low:.5f} to {high:.5f} are as good as the best within noise")
    if value["best_symmetric"]["lower"] == 0:
        out.print("on this validation set, no symmetric bounds are better than no clipping")
    out.print("`recommend` shows what each correction gains, cross-validated", style="dim")
