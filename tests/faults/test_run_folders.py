"""Each run is judged by itself: whatever one folder holds, all others and all pages work.

``python -m tests.faults.test_run_folders N`` tries N folders; `make soak` tries thousands.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.shared import tables
from dashboard.shared.tables import table
from dashboard.views.map import data as map_data
from dashboard.views.train import data as train_data
from engine.competition.prepare import prepare_submission
from engine.competition.records import list_submissions, scored_bounds
from engine.competition.sending import sent_submissions
from engine.data.properties import facts_of
from engine.errors import UserError
from engine.runs import jobs
from engine.runs.maps import map_progress, save_map
from engine.runs.next_steps import (
    NextStep,
    NextSteps,
    load_next_steps,
    next_steps_of,
    save_next_steps,
)
from engine.runs.run import Run
from engine.runs.run_list import list_runs, open_run
from engine.runs.triage import load_triage, triage_of
from engine.runs.verdicts import load_verdicts
from tests.support.command_line import Engine
from tests.support.hostile_runs import DEEP, huge, replaced, spoil
from tests.support.pages import opened
from tests.support.small_fits import home
from tests.support.submission_tables import clipped
from tests.support.synthetic_runs import synthetic_run
from tests.support.tiny_images import put

CASES = 250
PAGES = ("overview", "errors", "map", "clip", "compare", "submit", "train")
STEP = NextStep("images", "Label more", 0.1, (0, 0.2), "measured here", "so", "1 s", ("fit", "x"))
RECORD = b'{"created": "2026-03-01T12:00:00", "run": "r", "lower": 0.1, "upper": 0.9, "rows": 4}'


def refused_or(act: Callable[..., Any], *arguments: Any) -> None:
    try:
        act(*arguments)
    except UserError as error:
        assert str(error) and "\n" not in str(error)


def read_everything(run: Run) -> None:
    """Read a run as the pages and commands do; each step succeeds or refuses in a sentence."""
    refused_or(open_run, run.name)
    for split in ("valid", "test", "folds"):
        refused_or(_facts, run, split)
    refused_or(lambda: run.images)
    refused_or(lambda: run.quarantine)
    refused_or(lambda: run.data_root)
    refused_or(map_data.points, run.name, "pca")
    refused_or(load_triage, run)
    refused_or(prepare_submission, run, clipped(0.1, 0.9))
    refused_or(load_next_steps, run)
    triage_of(run).state, next_steps_of(run).state, map_progress(run, "pca")
    scored_bounds(run.folder / "submissions")
    jobs.progress_of(run), run.bounds, run.epochs, jobs.last_log_lines(run)
    for record in list_submissions(run.folder / "submissions"):
        assert record["file"].endswith(".csv")


def _facts(run: Run, split: str) -> None:
    ids = run.predictions(split).ids
    tables.facts(table(run.name, split), np.arange(len(ids))).to_pylist()
    facts_of(run, split, ids)


def read_lists() -> None:
    """Read what shows all runs at once."""
    assert all(summary.line for summary in tables.summaries())
    jobs.running_jobs(), sent_submissions(), train_data.recent_folders(), load_verdicts()


def fuzz(folder: Path, cases: int, seed: int = 0) -> float:
    """Spoil copies of a run, one after another; return the slowest case in seconds."""
    rng = random.Random(seed)
    secret = put(folder / "outside" / "secret.json", b'{"lower": 0.31, "upper": 0.69}')
    with home(folder / "workspace"):
        good = synthetic_run(folder, n=12, n_test=4, name="good")
        victim = complete(synthetic_run(folder, n=12, n_test=4, name="victim"))
        shutil.copytree(victim.folder, folder / "whole")
        before = _content(good)
        slowest = 0.0
        for case in range(cases):
            done = [spoil(victim, secret, rng) for _ in range(rng.choice((1, 1, 2, 4)))]
            began = time.monotonic()
            try:
                read_everything(victim)
                read_lists()
                assert victim.bounds != (0.31, 0.69), "a file outside was read"
                assert open_run(good.name).predictions().y_pred.any()
            except Exception as error:
                raise AssertionError(f"case {case}: {', '.join(done)}") from error
            slowest = max(slowest, time.monotonic() - began)
            shutil.rmtree(victim.folder)
            shutil.copytree(folder / "whole", victim.folder)
        assert _content(good) == before
    assert [path.name for path in secret.parent.iterdir()] == ["secret.json"]
    assert secret.read_bytes() == b'{"lower": 0.31, "upper": 0.69}'
    return slowest


def complete(run: Run) -> Run:
    """Add what only some runs have."""
    n = len(run.images)
    save_map(run, "pca", run.images["split"].tolist(), run.images["id"].tolist(),
             np.random.default_rng(0).random((n, 2)))  # fmt: skip
    put(run.folder / "submissions" / "20260301T120000Z.json", RECORD)
    put(run.folder / "submissions" / "20260301T120000Z.csv", b"id,label\n1,0.5\n")
    put(run.folder / "fit.log", b"a line\n")
    save_next_steps(run, NextSteps(run.name, "valid", n, 0.3, "2026-03-01T12:00:00Z", (STEP,), ()))
    run.set_bounds(0.2, 0.8)
    return run


def _content(run: Run) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in run.folder.rglob("*") if p.is_file()}


def test_whatever_a_run_folder_holds_harms_no_other(tmp_path: Path) -> None:
    slowest = fuzz(tmp_path, CASES)
    print(f"\nslowest of {CASES}: {slowest:.2f} s")
    assert slowest < 5


def _hostile(runs: list[Run], secret: Path) -> dict[str, str]:
    """Spoil runs each in another way; return what is said of those that cannot be read."""
    configs: dict[str, Callable[[Path], object]] = {
        "nested more than 64 deep": lambda at: at.write_bytes(DEEP),
        "it has 1,099,511,627,776 bytes": huge,
        "it is a link": lambda at: at.symlink_to("/dev/zero"),
        "it is not a regular file": os.mkfifo,
        "Is a directory": Path.mkdir,
        "class_names should be a list": lambda at: at.write_text(
            '{"format_version": 1, "backbone": "vgg16", "class_names": 5}'
        ),
    }
    for run, make in zip(runs, configs.values(), strict=False):
        replaced(run.folder / "config.json", make)
    rest = runs[len(configs) :]
    replaced(rest[0].folder / "status.json", os.mkfifo)
    replaced(rest[1].folder / "status.json", lambda at: at.write_text(
        '{"state": "running", "done": Infinity, "updated": Infinity, "total": 1}'
    ))  # fmt: skip
    replaced(rest[2].folder / "submissions" / "a.json", lambda at: at.write_bytes(
        b'{"kaggle": ' * 5000 + b"1" + b"}" * 5000
    ))  # fmt: skip
    replaced(rest[3].folder / "submissions" / "a.csv", lambda at: at.symlink_to(secret))
    return dict(zip((run.name for run in runs), configs, strict=False))


def test_damaged_runs_are_listed_with_their_reason_on_every_page_and_command(
    tmp_path: Path, engine: Engine
) -> None:
    secret = put(tmp_path / "secret.csv", b"not-for-any-page")
    runs = [synthetic_run(tmp_path, n=12, n_test=4, images=False) for _ in range(10)]
    good = complete(synthetic_run(tmp_path, n=12, n_test=4, images=False, name="the good one"))
    reasons = _hostile(runs, secret)
    listed = {line["run"]: line for line in json.loads(engine("runs", "--json").out)}
    assert len(listed) == 11 and listed[good.name]["status"] == "done"
    for name, reason in reasons.items():
        assert listed[name]["status"] == "damaged" and reason in listed[name]["reason"]
    assert list_runs()[0].name in listed
    assert engine("report", good.name).code == 0
    for name in reasons:
        said = engine("report", name)
        assert said.code == 1 and said.err.count("\n") == 1 and "Traceback" not in said.err
    for page in PAGES:
        app = opened(page, good)
        assert not app.exception and not app.error, page
        assert any("is damaged" in caption.value for caption in app.caption), page
    app = opened("submit", runs[9])
    assert not app.exception
    assert app.button(key="again_a.csv").disabled


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(f"slowest: {fuzz(Path(name), int(sys.argv[1]), int(time.time())):.2f} s")
