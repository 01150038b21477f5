"""`fit`: fine-tune a classifier and predict; `demo --fit` and `import` print a run alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from engine import portable
from engine.cli.console import console, literal, print_result
from engine.cli.inspect import show_short
from engine.cli.options import AsJson, fit_options
from engine.cli.progress import watching
from engine.runs.fit_options import FitOptions
from engine.runs.run_results import BackbonesCompared

if TYPE_CHECKING:
    from engine.data.dataset import Dataset
    from engine.runs.run import Run


@fit_options
def fit(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The labelled images; see above.")],
    *,
    into: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Fine-tune a classifier and predict the valid and test images.

    DATA is a Kaggle folder (train/cat.0.jpg, test/1.jpg), an ImageFolder (train/cat/x.jpg and
    optionally valid/ and test/), a folder of class folders, a CSV with path,label[,split],
    or a folder with train.zip and test.zip. Nothing in it is moved or changed.

    After an interruption, the same command continues the fit.
    """
    from engine.runs.run_list import open_run

    run_fit(FitOptions(data, **options), open_run(into) if into else None, as_json)


def run_fit(options: FitOptions, run: Run | None, as_json: bool) -> None:
    """Print what will be read, fit with progress on stderr, and print the result."""
    from engine.competition.inspection import inspection
    from engine.model.fit import fit as fit_run

    with watching() as watcher:

        def announce(dataset: Dataset) -> None:
            if portable.is_first() and not as_json:
                show_short(inspection(dataset, options.path), watcher.console or console())

        result = fit_run(
            options,
            run=run,
            progress=watcher.progress,
            on_epoch=watcher.epoch,
            on_data=announce,
            on_notice=watcher.notice,
        )
    if portable.is_first():
        value = result.summary()
        value["intervals"] = _intervals(result.run, ["valid", *(["folds"] if result.folds else [])])
        print_result(as_json, value, draw_run)


def _intervals(run: Run, splits: list[str]) -> dict[str, dict[str, list[float]]]:
    """Return the 95 % intervals of accuracy and log loss of each split's predictions."""
    from engine.analysis.scores import score
    from engine.data.image_groups import image_groups

    found = {}
    for split in splits:
        table = run.predictions(split)
        groups = image_groups(run, split, table)
        scores = score(table.y_true, table.probabilities, groups)
        found[split] = {
            "accuracy": list(scores.accuracy_interval), "log_loss": list(scores.log_loss_interval)
        }  # fmt: skip
    return found


def draw_run(value: dict[str, Any]) -> None:
    """Print a run's name, counts and scores."""
    out = console()
    n = value["n"]
    out.print(Text.assemble(("run ", "dim"), (value["run"], "bold")))
    out.print(
        f"{n['train']:,} train, {n['valid']:,} valid, {n['test']:,} test, "
        f"{n['quarantined']:,} quarantined"
    )
    if value["valid"]:
        _draw_scores(out, value, "valid", "valid")
    if folds := value.get("folds"):
        out.print(f"out of fold, all {folds['n']:,} in {folds['k']} folds:")
        _draw_scores(out, value, "folds", "out of fold")
    if backbones := value.get("backbones"):
        out.print(literal(BackbonesCompared(**backbones).sentence))
    if corrections := value.get("corrections"):
        _draw_corrected(out, corrections, value.get("change"))
    if "seconds" in value:
        stages = ", ".join(f"{k} {v:.1f}" for k, v in value["seconds"].items() if k != "total")
        out.print(
            f"{value['forward_passes']:,} forward passes, {value['images_per_second']:,.0f} "
            f"images/s; {value['seconds']['total']:.1f} s ({stages})",
            style="dim",
        )
    if note := value.get("weights_note"):
        out.print(literal(note), style="yellow")
    if precision := value.get("precision"):
        out.print(literal(precision), style="dim")
    for path, note in list(value.get("notes", {}).items())[:5]:
        out.print(literal(f"{path}: {note}"), style="yellow")
    for group in value.get("duplicates", [])[:5]:
        out.print(literal(f"identical: {', '.join(group['paths'][:4])}"), style="yellow")
    out.print(Text(f"Next: second-look report {value['run']}"), style="dim")


def _draw_scores(out: Console, value: dict[str, Any], split: str, name: str) -> None:
    """Print the scores of a split's predictions, a line each, with their intervals."""
    for key in ("accuracy", "log_loss"):
        ends = value.get("intervals", {}).get(split, {}).get(key)
        within = f"   95 % interval {ends[0]:.4f} to {ends[1]:.4f}" if ends else ""
        title = f"{name} {key.replace('_', ' ')}"
        out.print(f"{title:<20} [bold]{value[split][key]:.4f}[/]{within}")


def _draw_corrected(out: Console, made: dict[str, int], change: dict[str, Any] | None) -> None:
    out.print(f"by verdicts {made['relabelled']:,} relabelled, {made['dropped']:,} left out")
    if change is None:
        out.print("no run without verdicts to compare with; run the same fit without --verdicts")
        return
    low, high = change["interval"]
    result = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    out.print(
        f"on {change['n']:,} images with one fixed set of labels: log loss "
        f"{change['log_loss_before']:.4f} → [bold]{change['log_loss_after']:.4f}[/], gain "
        f"{change['difference']:+.4f}, 95 % {low:+.4f} to {high:+.4f} ({result})"
    )
    out.print(literal(f"against run {change['against']}, {change['split']}"), style="dim")
