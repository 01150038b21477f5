"""Starts one of our commands in a process that continues after its parent has ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from engine import portable
from engine.runs.files import workspace

_ROOT = Path(__file__).resolve().parents[2]


def start_command(
    arguments: Sequence[str],
    ended: Callable[[int], None] | None = None,
    *,
    out: IO[bytes] | None = None,
    err: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``python -m engine`` with these arguments and return immediately.

    Parameters
    ----------
    ended
        Function that a thread calls with the exit code.
    out, err
        Open files for its output; by default the output is discarded.

    Raises
    ------
    OSError, ValueError
        If the process cannot be started.
    """
    child = subprocess.Popen(
        portable.nice_command([sys.executable, "-m", "engine", *arguments]),
        cwd=_ROOT,
        env={**os.environ, "SECONDLOOK_HOME": str(workspace()), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=out or subprocess.DEVNULL,
        stderr=err or subprocess.DEVNULL,
        **portable.own_session(low_priority=True),
    )

    def reap() -> None:  # without waiting, the ended process would stay a zombie
        code = child.wait()
        if ended:
            ended(code)

    threading.Thread(target=reap, daemon=True).start()
    return child
