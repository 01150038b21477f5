"""Large tables: report, clip, submit and the dashboard's reads, in seconds and in memory."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.analysis.clip_report import clip_report
from engine.analysis.report import report
from engine.competition.correction import choose_correction, positive_index
from engine.competition.prepare import prepare_submission
from engine.competition.submission_csv import to_csv
from engine.runs.run import Run
from engine.runs.run_list import open_run
from tests.benchmarks.clocked import Ran, run_process, verdict
from tests.benchmarks.made_runs import CLASSES, drawn, made_run
from tests.benchmarks.report import load, machine, table

TITLE = "Large tables"
REPEAT, IMAGES = 3, 100
MANY = tuple(f"class{number:04}" for number in range(1000))
SIZES = {"two": (1_000_000, CLASSES), "many": (50_000, MANY)}
SECONDS, TIMES = {"two": 2.0}, 5.0  # the goals: of the call, and of the table's bytes
STEPS = ("load", "report", "clip", "submit", "dashboard")


def measure() -> str:
    """Make the runs, measure every step in processes of its own, and return the section."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.environ.get("SECONDLOOK_BENCH_TABLES") or folder)
        if not (root / "two").exists():
            files = drawn(root / "images", IMAGES)
            for kind, (n, classes) in SIZES.items():
                _made(root, files, kind, n, classes)
        sections = [_section(root, kind) for kind in SIZES]
    return "\n\n".join([machine(("numpy", "pyarrow", "pandas", "streamlit")), *sections, _HOW])


def step(kind: str, name: str, root: Path) -> dict[str, float]:
    """Do one step in this process and say how long the call took."""
    run = open_run("latest")
    valid = run.predictions("valid") if name in ("report", "clip") else None
    begun = time.perf_counter()
    if name == "load":
        run.predictions("valid")
    elif name == "report" and valid is not None:
        report(valid)
    elif name == "clip" and valid is not None:
        clip_report(valid, *run.bounds, n_test=len(valid), positive=positive_index(run))
    elif name == "submit":
        to_csv(prepare_submission(run, choose_correction(run), _sample(root, kind)))
    else:
        _read_as_the_dashboard(run)
    return {"seconds": time.perf_counter() - begun}


def _read_as_the_dashboard(run: Run) -> None:
    from dashboard.shared import tables as shared_tables
    from dashboard.views.clip import data as clip_data
    from dashboard.views.overview import data as overview_data
    from dashboard.views.submit import data as submit_data

    known = shared_tables.table(run.name)
    view = overview_data.overview(known)
    shared_tables.facts(known, view.highest_loss)
    clip_data.clip_loss_curve(known)
    test = shared_tables.test_table(run.name)
    assert test is not None
    clip_data.bars(test)
    submit_data.submission(test, None)


def _made(
    root: Path, files: list[tuple[str, str]], kind: str, n: int, classes: Sequence[str]
) -> None:
    os.environ["SECONDLOOK_HOME"] = str(root / kind / "workspace")
    made_run(root / "images", files, n, n, classes=classes)
    columns = ["label"] if len(classes) == 2 else list(classes)
    with open(_sample(root, kind), "w") as file:
        file.write(",".join(["id", *columns]) + "\n")
        file.writelines(f"t{i:07}" + ",0.5" * len(columns) + "\n" for i in range(n))


def _sample(root: Path, kind: str) -> Path:
    return root / kind / "sample.csv"


def _section(root: Path, kind: str) -> str:
    n, classes = SIZES[kind]
    nbytes = n * (8 * len(classes) + 8 + 12 + 24)  # probabilities, label, id, path
    home = {"SECONDLOOK_HOME": root / kind / "workspace"}
    engine = [sys.executable, "-m", "engine"]
    bare = run_process([*engine, "runs", "--json"], **home).peak_mb
    rows = []
    for name in STEPS:
        alone = [sys.executable, "-m", "tests.benchmarks.tables", kind, name, root]
        calls = [run_process(alone, **home) for _ in range(REPEAT)]
        took, whole, peak = _median_call(calls), "", _peak(calls)
        if name in ("report", "clip", "submit"):
            sample = ["--sample", _sample(root, kind)] if name == "submit" else []
            command = [*engine, name, "latest", *sample, "--json"]
            commands = [run_process(command, **home) for _ in range(REPEAT)]
            whole = f"{statistics.median(c.seconds for c in commands):.2f}"
            peak = _peak(commands)
        goal, tables = SECONDS.get(kind), 2 if name == "dashboard" else 1
        times = (peak - bare) * 1e6 / (nbytes * tables)
        judged = [f"{goal:.0f}", verdict(took <= goal)] if goal else ["", ""]
        rows.append(
            [name, f"{took:.2f}", *judged, whole, f"{peak:,.0f}", f"{times:.1f}", f"{TIMES:.0f}"]
        )
        rows[-1] += [verdict(times <= TIMES), load()]
        print("   ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ("step", "call, s", "goal", "", "whole command, s", "peak, MB", "times the table")
    head = (*head, "goal", "", "load")
    title = f"### {n:,} valid and {n:,} test images of {len(classes):,} classes"
    return f"{title}\n\nThe table is {nbytes / 1e6:,.0f} MB in memory.\n\n{table(head, rows)}"


def _median_call(calls: Sequence[Ran]) -> float:
    return statistics.median(call.answer["seconds"] for call in calls)


def _peak(calls: Sequence[Ran]) -> float:
    return statistics.median(call.peak_mb for call in calls)


_HOW = """Medians of 3, each in a process of its own. The call is the library's, with the table read
before report and clip, from the disk on for the others; the whole command is `python -m engine …
--json` with the interpreter's start. "Times the table" is the peak less that of a command that
reads no table, over the bytes of one table, of both for `dashboard`, which reads what Overview and
Clip show of a run that no page has read yet."""


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(sys.stderr):
        answer = step(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    print(json.dumps(answer))
