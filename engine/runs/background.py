"""A command of ours in a process of its own, which outlives whoever asked for it."""

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
    """Start ``python -m engine`` with these arguments; returns at once.

    Parameters
    ----------
    ended
        Called with the exit code, in a thread.
    out, err
        Open files for what it prints; nowhere by default.

    Raises
    ------
    OSError, ValueError
        When it cannot be started.
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

    def reap() -> None:  # whoever starts a process must wait for it, or it stays in the table
        code = child.wait()
        if ended:
            ended(code)

    threading.Thread(target=reap, daemon=True).start()
    return child
