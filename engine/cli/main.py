"""The command line: its commands, one file each, and the entry points.

A command imports what reads tables or images in its function, so that ``--help`` is quick.
"""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from engine import __version__, portable
from engine.cli.backbones import backbones
from engine.cli.blend import blend
from engine.cli.bounds import bounds
from engine.cli.clip import clip
from engine.cli.compare import compare
from engine.cli.dashboard import dashboard
from engine.cli.demo import demo
from engine.cli.download import download
from engine.cli.embed import embed
from engine.cli.exit_codes import exit_code, leave
from engine.cli.explain import explain
from engine.cli.export import export
from engine.cli.fit import fit
from engine.cli.import_predictions import import_predictions
from engine.cli.inspect import inspect
from engine.cli.next import next_steps
from engine.cli.predict import predict
from engine.cli.relocate import relocate
from engine.cli.report import report
from engine.cli.runs import runs
from engine.cli.slices import slices
from engine.cli.submit import submit
from engine.cli.triage import triage
from engine.cli.verdict import verdict, verdicts

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


for command in (
    demo, download, inspect, backbones, fit, predict, report, clip, triage, verdict, verdicts,
    explain, export, slices, compare, blend, embed, submit, runs, relocate, dashboard,
):  # fmt: skip
    app.command()(command)
app.command("next")(next_steps)
app.command("import")(import_predictions)
app.command("recommend")(bounds)
app.command("bounds", hidden=True)(bounds)  # its name before


def main() -> int:
    """Run the command line and return its exit code."""
    return exit_code(app)


def script() -> NoReturn:
    """Run the command line as `second-look` does, and end the process with its exit code."""
    portable.write_utf8()
    leave(main())
