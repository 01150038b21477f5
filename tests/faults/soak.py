"""Twenty people at the dashboard for two minutes while a fit runs: ``python -m tests.faults.soak``.

Every one has a websocket of their own and clicks through all pages; what is reported: errors,
reruns and their p95, and the server's memory before, at the end and after all have left.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.support.browser import Server
from tests.support.client import Session
from tests.support.paths import ROOT
from tests.support.synthetic_runs import synthetic_run
from tests.support.tiny_images import kaggle

PAGES = ("overview", "errors", "clip", "submit", "train")
SHOW = ("all", "random-correct", "random-incorrect", "most-correct", "most-uncertain")


def main(people: int = 20, seconds: float = 120) -> dict[str, Any]:
    """Soak; return the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SECONDLOOK_HOME"] = str(folder / "workspace")
        run = synthetic_run(folder, n=2000, n_test=2000)
        server = Server(folder)
        data = kaggle(folder / "data", train=300, test=100)
        fit = subprocess.Popen(
            [sys.executable, "-m", "engine", "fit", str(data), "--backbone", "resnet18",
             "--weights", "none", "--image-size", "64", "--train", "all", "--epochs", "500"],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _visit(server.url, run.name, time.monotonic() + 5, random.Random(0), [], [])
            before = _memory(server.process.pid)
            times: list[float] = []
            errors: list[str] = []
            until = time.monotonic() + seconds
            threads = [
                threading.Thread(
                    target=_visit,
                    args=(server.url, run.name, until, random.Random(i), times, errors),
                )
                for i in range(people)
            ]
            for thread in threads:
                thread.start()
            time.sleep(max(until - time.monotonic() - 2, 0))
            end, fitting = _memory(server.process.pid), fit.poll() is None
            for thread in threads:
                thread.join()
            time.sleep(15)
            after = _memory(server.process.pid)
            written = [line for line in server.errors().splitlines() if "Traceback" in line]
        finally:
            fit.kill()
            fit.wait()
            server.stop()
    times.sort()
    return {
        "people": people, "seconds": seconds, "reruns": len(times), "errors": errors,
        "tracebacks": len(written), "p50": times[len(times) // 2],
        "p95": times[int(len(times) * 0.95)], "slowest": times[-1], "fit_ran_throughout": fitting,
        "megabytes": {"before": before, "at the end": end, "after": after},
    }  # fmt: skip


def _visit(
    url: str, run: str, until: float, rng: random.Random, times: list[float], errors: list[str]
) -> None:
    try:
        session = Session(url)
        while time.monotonic() < until:
            query = {"run": run}
            page = rng.choice(PAGES)
            if page == "errors":
                query |= {"show": rng.choice(SHOW), "page": str(rng.randrange(1, 9))}
            began = time.monotonic()
            session.open(page, query)
            times.append(time.monotonic() - began)
            time.sleep(rng.uniform(0.5, 2.5))  # a person looks before they click
        session.close()
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}"[:300])


def _memory(process: int) -> int:
    """Return the resident memory of a process in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:])), indent=2))
