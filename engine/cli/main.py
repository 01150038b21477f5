"""The command line: parses arguments, calls the engine and prints the results."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from engine import __version__, portable
from engine.cli import console
from engine.cli.blend import blend
from engine.cli.bounds import bounds
from engine.cli.compare import compare
from engine.cli.dashboard import dashboard
from engine.cli.embed import embed
from engine.cli.exit_codes import exit_code, leave
from engine.cli.explain import explain
from engine.cli.inspect import inspect, show_short
from engine.cli.options import AsJson, Lower, On, OnScored, RunName, Upper, fit_options
from engine.cli.progress import downloading, watching
from engine.cli.slices import slices
from engine.cli.submit import submit
from engine.cli.triage import triage
from engine.cli.verdict import verdict, verdicts
from engine.competition.inspection import inspection
from engine.data.dataset import Dataset
from engine.errors import UserError
from engine.runs.caches import sweep
from engine.runs.fit_options import FitOptions
from engine.runs.predicted import predicted_tables
from engine.runs.progress import Reporter, is_first, run_lock
from engine.runs.run import Run, list_runs, open_run
from engine.text import plain

app = typer.Typer(
    help="Fine-tune an image classifier, review its errors, write the submission."
    "\n\nStart with [bold]demo[/], or with [bold]fit[/] on your own images. Runs are stored in "
    "$SECONDLOOK_HOME, by default ./workspace.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"second-look {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Handle the options that belong to no command."""


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder for the images; created if missing.")
    ],
    train: Annotated[int, typer.Option(help="Labelled images.")] = 1200,
    test: Annotated[int, typer.Option(help="Unlabelled images.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the drawings.")] = 0,
    fit: Annotated[bool, typer.Option("--fit", help="Also fit a small network on them.")] = False,
    into: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Draw cats and dogs in Kaggle's layout, some with known difficulties (planted.csv)."""
    from engine.data.demo import demo_options, draw_demo

    run = open_run(into) if into else None
    with watching() as watcher, run_lock(run) if run else nullcontext():
        report = Reporter(run, watcher.progress) if run else watcher.progress
        summary = draw_demo(folder, train, test, seed, lambda done, n: report("draw", done, n))
    if run:
        run.set_status("queued")  # for the fit below
    drawn = {
        "folder": str(summary.folder),
        "train": summary.train,
        "test": summary.test,
        "planted": summary.planted,
    }
    if not (fit and as_json):
        _print(as_json, drawn, console.demo)
    if fit:
        _fit(demo_options(folder), run, as_json)


@app.command()
def download(
    competition: Annotated[
        str, typer.Argument(metavar="COMPETITION", help="The last part of its address.")
    ],
    to: Annotated[
        Path | None, typer.Option(help="Target folder; by default ./COMPETITION.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download and check all files of a Kaggle competition, or none."""
    from engine.competition.download import download as download_files

    with downloading() as progress:
        done = download_files(competition, to, progress)
    _print(as_json, done.summary(), console.download)


@app.command()
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
    _fit(FitOptions(data, **options), open_run(into) if into else None, as_json)


@app.command()
def predict(
    run: RunName,
    data: Annotated[
        Path | None, typer.Option(help="Folder of new images; by default the run's test images.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict images with a fitted run, using cached features where possible."""
    from engine.model.predict import predict as predict_images

    with watching() as watcher:
        made = predict_images(open_run(run), data, watcher.progress)
    _print(as_json, made.summary(), console.predict)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .parquet table.")],
    images: Annotated[Path, typer.Option(help="The folder of the images.")],
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create a run from the predictions of another tool.

    The table needs the columns id or path, label (empty for test images), and one probability
    column per class, or a single one with P(positive).
    """
    from engine.data.import_predictions import import_run

    with watching() as watcher:
        run = import_run(file, images, name, watcher.progress)
    config = run.config
    scores = asdict(config.scores) if config.scores else {}
    _print(as_json, {"run": run.name, "n": asdict(config.n), "valid": scores}, console.fit)


@app.command()
def report(
    run: RunName,
    n: Annotated[int, typer.Option(min=1, help="Number of images per category.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random categories.")] = 0,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report as one HTML file.")
    ] = None,
    on: OnScored = None,
    as_json: AsJson = False,
) -> None:
    """Show metrics, the confusion matrix and the five categories of a run's labelled images."""
    from engine.library.run import opened

    found = opened(run).report(n, seed, on.value if on else None)
    value = {"run": found.run.name, "on": found.split, **found.as_json()}
    value["predicted"] = _predicted(found.run)
    if html is not None:
        with watching() as watcher:
            value["html"] = str(found.write_html(html, watcher.progress))
    _print(as_json, value, console.report)


@app.command()
def clip(
    run: RunName, lower: Lower = None, upper: Upper = None, on: On = None, as_json: AsJson = False
) -> None:
    """Show the effect of clip bounds on the log loss, and the best bounds."""
    from engine.library.run import checked_split, clipped, opened

    found = opened(run)
    split = checked_split(found, on.value if on else None)
    value = clipped(found, split, lower, upper).as_json()
    _print(as_json, {"run": found.name, "on": split, **value}, console.clip)


app.command()(submit)
app.command()(inspect)


@app.command()
def runs(
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove caches that are out of date, and leftovers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List all runs."""
    if clean:
        _print(as_json, asdict(sweep()), console.swept)
        return
    lines = []
    for run in list_runs():
        try:
            config = run.config
        except UserError as error:
            print(plain(error.on_command_line), file=sys.stderr)
            continue
        scores = config.scores
        lines.append(
            {
                "run": run.name,
                "name": config.name,
                "created": config.created,
                "backbone": config.backbone,
                "status": run.status.state,
                "accuracy": scores.accuracy if scores else None,
                "log_loss": scores.log_loss if scores else None,
                "predicted": _predicted(run),
            }
        )
    _print(as_json, lines, console.runs)


def _predicted(run: Run) -> list[dict[str, Any]]:
    """Return the tables that `predict --data` made, as plain values."""
    return [asdict(table) for table in predicted_tables(run)]


def _fit(options: FitOptions, run: Run | None, as_json: bool) -> None:
    from engine.model.fit import fit as fit_run

    with watching() as watcher:

        def announce(dataset: Dataset) -> None:
            if is_first() and not as_json:
                show_short(inspection(dataset, options.path), watcher.console or console.console())

        result = fit_run(
            options, run=run, progress=watcher.progress, on_epoch=watcher.epoch, on_data=announce
        )
    if is_first():
        _print(as_json, result.summary(), console.fit)


def _print(as_json: bool, value: Any, draw: Any) -> None:
    if as_json:
        print(json.dumps(value, ensure_ascii=True, allow_nan=False))
    else:
        draw(value)


app.command()(embed)
app.command()(explain)
app.command()(compare)
app.command()(blend)
app.command()(slices)
app.command("recommend")(bounds)
app.command("bounds", hidden=True)(bounds)  # its name before
app.command()(triage)
app.command()(verdict)
app.command()(verdicts)
app.command()(dashboard)


def main() -> int:
    """Run the command line and return its exit code."""
    return exit_code(app)


def script() -> NoReturn:
    """Run the command line as `second-look` does, and end the process with its exit code."""
    portable.write_utf8()
    leave(main())
