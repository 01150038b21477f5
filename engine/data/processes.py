"""Child processes for work that would hold Python's global lock."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from types import ModuleType


def process_pool(most: int) -> ProcessPoolExecutor:
    """Return a pool of at most ``most`` processes, and no more than there are processors.

    Submit at least that many tasks within `main_left_alone`: they start the processes.
    """
    # Spawn instead of fork: the caller may run threads, and a new process imports little.
    workers = min(os.cpu_count() or 1, most)
    return ProcessPoolExecutor(workers, get_context("spawn"), _begin)


def forked_pool(workers: int, begin: Callable[[], None]) -> ProcessPoolExecutor:
    """Return a pool of copies of this process, which share its memory maps and import nothing.

    Only for tasks that use no GPU and no lock that another thread of the caller may hold; not on
    Windows, and not on macOS, whose libraries do not survive it. All start with the first task.

    Parameters
    ----------
    begin : called first in each process; it need not be a function of a module
    """

    def first() -> None:
        _begin()
        begin()

    return ProcessPoolExecutor(workers, get_context("fork"), first)


@contextmanager
def main_left_alone() -> Iterator[None]:
    """Start processes that do not run the caller's script again, as spawned processes would."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _begin() -> None:
    """Leave Ctrl-C to the parent, so that a worker prints no traceback, and end with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
