"""A file that a command adds to a run: whether it is being made, and how that ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError
from engine.runs.background import start_command
from engine.runs.files import is_locked, locked, open_log
from engine.runs.opening import is_file, is_folder, open_regular, tail_of
from engine.runs.run import Run

_PATIENCE = 60.0  # seconds until a started process without a lock counts as lost


@dataclass(frozen=True)
class SideResult:
    """A file in a run's folder that one of our commands makes.

    Attributes
    ----------
    run : the run
    command : the command that makes it, which names its log and lock
    path : the file
    """

    run: Run
    command: str
    path: Path

    @property
    def state(self) -> tuple[str, str]:
        """Return the state (none, running, failed, or done if the file exists) and the error."""
        if is_file(self.path):
            return "done", ""
        if is_locked(self._lock):
            return "running", ""
        try:
            with open_regular(self._log) as log:
                started, output = os.fstat(log.fileno()).st_mtime, tail_of(log).split()
        except OSError:
            return "none", ""
        if output:
            return "failed", " ".join(output)[-500:].removeprefix("Error: ")
        if time.time() - started < _PATIENCE:
            return "running", ""
        return "failed", "The process ended without reporting an error."

    @contextmanager
    def making(self) -> Iterator[None]:
        """Hold the file's lock while it is made.

        Raises
        ------
        UserError
            If another process is making it.
        """
        with locked(self._lock, wait=2) as mine:
            if not mine:
                raise UserError(f"{self.path} is being made by another process; wait for it.")
            yield

    def start(self, arguments: Sequence[str]) -> None:
        """Start ``python -m engine ARGUMENTS`` unless it is running, and return immediately.

        Raises
        ------
        UserError
            If the process cannot be started.
        """
        if self.state[0] == "running":
            return
        try:
            with open_log(self._log) as log:
                start_command(arguments, self._ended, err=log)
        except OSError as error:
            raise UserError(
                f"{self.run.name}: {self.command} could not be started ({error})."
            ) from error

    def _ended(self, code: int) -> None:
        if not code or not is_folder(self.run.folder):
            return
        with suppress(OSError), open_log(self._log, append=True) as log:
            if not os.fstat(log.fileno()).st_size:
                log.write(f"The process ended with exit code {code}.".encode())

    @property
    def _log(self) -> Path:
        return self.run.folder / f"{self.command}.log"

    @property
    def _lock(self) -> Path:
        return self.run.folder / f".{self.command}.lock"
