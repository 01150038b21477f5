"""Progress bars and epoch lines on stderr, shown only on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from engine import portable
from engine.runs.epoch_scores import EpochScores

_TITLES = {
    "draw": "Drawing",
    "list": "Reading the images",
    "features": "Extracting features",
    "compare": "Comparing images",
    "tsne": "Computing the map",
    "train": "Training",
    "predict": "Predicting",
    "speeds": "Measuring speeds",
    "measure": "Measuring image properties",
}


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} images/s" if task.speed else "", style="dim")


class _Count(MofNCompleteColumn):
    def render(self, task: Task) -> Text:
        return super().render(task) if task.total else Text()


class Watcher:
    """Shows stages and epochs; its methods are used as callbacks."""

    def __init__(self, bars: Progress | None) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    @property
    def console(self) -> Console | None:
        """Return the console that the bars are drawn on, None without a terminal."""
        return self._bars.console if self._bars else None

    def progress(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images of a stage are finished; 0 if it is not known."""
        if not self._bars:
            return
        if stage == "predict":  # what had no known end is over
            self._drop_endless()
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(_TITLES[stage], total=total or None)
        self._bars.update(self._tasks[stage], completed=done, total=total or None)

    def _drop_endless(self) -> None:
        assert self._bars
        for task in [task.id for task in self._bars.tasks if not task.total]:
            self._bars.update(task, visible=False)

    def notice(self, sentence: str) -> None:
        """Print a sentence above the bars, or on stderr without a terminal."""
        if self._bars:
            self._bars.console.print(Text(sentence), style="yellow")
        else:
            print(sentence, file=sys.stderr)

    def epoch(self, line: EpochScores) -> None:
        """Show the metrics of one epoch."""
        if self._bars:
            of = f"epoch {line['epoch']:>3}/{line['epochs']}"
            self._bars.console.print(
                (of if line["epochs"] else f"pass {line['epoch']:>3}")
                + f"  loss {line['loss']:.4f}  accuracy {line['accuracy']:.4f}"
                f"  valid loss {line['valid_loss']:.4f}"
                f"  valid accuracy {line['valid_accuracy']:.4f}"
                f"  {line['seconds']:.2f} s",
                highlight=False,
            )


@contextmanager
def watching() -> Iterator[Watcher]:
    """Yield a watcher, which draws only on a terminal.

    Output of C libraries, such as libjpeg's warnings, is suppressed meanwhile.
    """
    with _quiet_libraries() as stderr:
        if not (stderr.isatty() and portable.is_first()):
            yield Watcher(None)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            _Count(),
            _Speed(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=Console(file=stderr)) as bars:
            yield Watcher(bars)


@contextmanager
def downloading() -> Iterator[Callable[[int, int], None]]:
    """Yield a callback that takes bytes so far and in total; it draws a bar only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    columns = (
        TextColumn("Downloading"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a spinner with this text on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(what):
        yield


@contextmanager
def _quiet_libraries() -> Iterator[TextIO]:
    """Redirect file descriptor 2 to nothing, and keep Python's stderr on the terminal."""
    before = sys.stderr
    try:
        sys.stderr.flush()
        own = os.dup(2)
    except OSError:
        yield before
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    sys.stderr = os.fdopen(own, "w", buffering=1, errors="backslashreplace")
    try:
        yield sys.stderr
    finally:
        os.dup2(sys.stderr.fileno(), 2)
        sys.stderr.close()
        sys.stderr = before
