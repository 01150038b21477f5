"""Reports a run's progress, result and time by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from engine.errors import Cancelled, UserError
from engine.runs.epoch_scores import EpochScores, OnEpoch
from engine.runs.run import Run

Progress = Callable[[str, int, int], None]
OnNotice = Callable[[str], None]


@contextmanager
def run_lock(run: Run) -> Iterator[None]:
    """Hold a run's lock while it is written, and record in its status how the block ended.

    Raises
    ------
    UserError
        If another process is writing it.
    """
    with run.held() as mine:
        if not mine:
            raise UserError(f"run {run.name} is being written by another process; wait for it.")
        run.set_status("running")  # so that a process killed from here on is detected as lost
        with _record_end(run):
            yield


class Reporter:
    """Passes progress to the caller and twice a second to status.json; stops when asked.

    With several processes, all but the first are ``silent``.
    """

    def __init__(
        self,
        run: Run,
        progress: Progress | None = None,
        on_epoch: OnEpoch | None = None,
        silent: bool = False,
        on_notice: OnNotice | None = None,
    ) -> None:
        self.run, self.progress, self.on_epoch, self.silent = run, progress, on_epoch, silent
        self.on_notice = on_notice
        self.stage, self.since, self.first, self.written = "", 0.0, 0, 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report ``done`` of ``total`` images of a stage; raise Cancelled if asked to stop."""
        if self.silent:
            return
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.since, self.first, self.written = stage, now, done, 0.0
        if self.progress:
            self.progress(stage, done, total)
        if now - self.written > 0.5 or done == total:
            rate = (done - self.first) / (now - self.since) if now > self.since else 0.0
            self.run.set_status(
                "running", stage=stage, done=done, total=total, images_per_second=rate
            )
            self.written = now
        if self.run.cancel_requested:
            raise Cancelled(f"run {self.run.name} was cancelled.")

    def notice(self, sentence: str) -> None:
        """Pass on a sentence that a person should read before the fit continues."""
        if self.on_notice and not self.silent:
            self.on_notice(sentence)

    def epoch(self, lines: list[EpochScores], epochs: int) -> None:
        """Report the last line; there is one line per epoch."""
        if self.on_epoch:
            self.on_epoch({**lines[-1], "epochs": epochs})


class Clock:
    """Measures the seconds of each stage."""

    def __init__(self) -> None:
        self.started = self.last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Add the seconds since the last lap to this stage."""
        now = time.monotonic()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now

    def finished(self) -> dict[str, float]:
        """Return the seconds in total and by stage."""
        return {"total": time.monotonic() - self.started, **self.seconds}


@contextmanager
def _record_end(run: Run) -> Iterator[None]:
    """Record in the run's status how the block ended."""
    try:
        yield
    except (Cancelled, KeyboardInterrupt):
        run.set_status("cancelled", message="Stopped on request; start it again to continue.")
        raise
    except Exception as error:
        with suppress(UserError):  # on a full disk; the original error is more informative
            named = error.on_command_line if isinstance(error, UserError) else str(error)
            run.set_status("failed", message=named or type(error).__name__)
        raise
