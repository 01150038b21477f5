"""Servers of the browser tests: forks of one process that has already imported the dashboard.

Imports take a server three seconds of a processor, and each browser test has a server of its own.
`test_security`, `test_dashboard_command` and `test_package` start servers as users do.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.browser import URL
from tests.support.paths import ROOT

COMMAND = ["run", "dashboard/app.py", "--server.port", "0", "--server.headless", "true"]
LATER = [
    "plotly.graph_objects",
    "plotly.offline",
    "pyarrow.dataset",
    "streamlit.web.bootstrap",
    "streamlit.web.cli",
    "streamlit.web.server.starlette",
    "uvicorn.protocols.http.h11_impl",
    "websockets.server",
]

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


class WarmServer:
    """`streamlit run dashboard/app.py` on a workspace of its own and a free port."""

    def __init__(self, home: Path) -> None:
        self._out, self._log = home / "server.out", home / "server.log"
        environment = {**os.environ, "SECONDLOOK_HOME": str(home / "workspace")}
        warm = _warm()
        assert warm.stdin and warm.stdout
        print(json.dumps([environment, *map(str, (self._out, self._log))]), file=warm.stdin)
        warm.stdin.flush()
        self._pid = int(warm.stdout.readline())
        self.url = self._wait_for_url()

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and _runs(self._pid):
            said = self._out.read_text() if self._out.exists() else ""
            if (found := URL.search(said)) and _listens(found[0]):
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f"the server did not start:\n{self.errors()}")

    def errors(self) -> str:
        """Return what the server has written to stderr."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 10
            with suppress(ProcessLookupError):
                os.kill(self._pid, sent)
            while _runs(self._pid) and time.monotonic() < deadline:
                time.sleep(0.01)


def _runs(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _listens(url: str) -> bool:
    """Return whether a server answers; it says its address a moment before."""
    with (
        suppress(ConnectionRefusedError),
        socket.create_connection((urlsplit(url).hostname, urlsplit(url).port or 80)),
    ):
        return True
    return False


@cache
def _warm() -> subprocess.Popen[str]:
    warm = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_server"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(warm.communicate)  # it ends with its input
    return warm


def main() -> None:
    """Import the dashboard, then fork a server for each line of the input."""
    modules = [
        found.name for found in pkgutil.walk_packages([str(ROOT / "dashboard")], "dashboard.")
    ]
    scripts = [name for name in modules if name == "dashboard.app" or name.endswith(".page")]
    for name in [*LATER, *modules]:
        if name not in scripts:
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a server that ends leaves nothing behind
    for line in sys.stdin:
        if pid := os.fork():
            print(pid, flush=True)
        else:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _serve(*json.loads(line))


def _serve(environment: dict[str, str], out: str, log: str) -> None:
    """Become a server: what it says goes into files, and it ends with the process that forked."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for number, path in enumerate((os.devnull, out, log)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["streamlit", *COMMAND]
    sys.modules["streamlit.web.cli"].main()


if __name__ == "__main__":
    main()
