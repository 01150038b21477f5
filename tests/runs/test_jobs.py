from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.runs import jobs
from engine.runs.files import write_json
from engine.runs.fit_options import FitOptions
from tests.support.jobs import stand_in, start, state, until
from tests.support.run_folders import run_with


@pytest.fixture
def worker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_in(home, monkeypatch)


def test_a_fit_is_queued_at_once_then_runs_detached_and_stops_when_asked(worker: Path) -> None:
    run = start(FitOptions("/images", backbone="resnet18", name="-x <b>"))
    assert state(run) in ("queued", "running")
    assert run.config.request == {"backbone": "resnet18", "name": "-x <b>"}
    assert run.config.data == "/images" and run.config.name == "-x <b>"
    until(lambda: jobs.progress_of(run).stage == "features")
    assert jobs.running_jobs() == [run]
    progress = jobs.progress_of(run)
    assert progress.total == 600 and progress.images_per_second == 20
    assert progress.seconds_left == pytest.approx((600 - progress.done) / 20)
    said = jobs.last_log_lines(run)
    assert "fit /images --backbone=resnet18 --name=-x <b>" in said[0] and "--json" in said[0]
    assert said[-1] == "began 10 True"  # niced, and a session of its own
    jobs.cancel(run)
    until(lambda: state(run) == "cancelled")
    assert jobs.running_jobs() == [] and not jobs.progress_of(run).cancelling


def test_a_killed_worker_is_lost_and_leaves_no_zombie(worker: Path) -> None:
    run = start(FitOptions("/images"))
    until(lambda: state(run) == "running")
    pid = int(run.status.pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: state(run) == "lost")
    progress = jobs.progress_of(run)
    assert progress.stage == "features" and progress.seconds_left is None and not progress.active
    assert jobs.last_log_lines(run)[-1].startswith("began")
    until(lambda: not Path(f"/proc/{pid}").exists() if Path("/proc").exists() else True)


def test_a_worker_outlives_the_process_that_started_it(worker: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-c",
         "from pathlib import Path; from engine.runs import background; "
         "from engine.runs.fit_options import FitOptions; from tests.support.jobs import start; "
         f"background._ROOT = Path({str(worker.parent)!r}); "
         "print(start(FitOptions('/images')).name)"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    run = next(run for run in jobs.running_jobs() if run.name == started.stdout.strip())
    until(lambda: state(run) == "running")
    jobs.cancel(run)
    until(lambda: state(run) == "cancelled")


def test_a_child_that_dies_before_its_first_word_has_failed_with_its_last_line(
    worker: Path,
) -> None:
    (worker / "__main__.py").write_text("raise SystemExit('no such option: --x')")
    run = start(FitOptions("/images"))
    until(lambda: state(run) == "failed")
    assert jobs.progress_of(run).message == "no such option: --x"


def test_a_fit_of_nothing_fails_in_one_sentence(home: Path) -> None:
    run = start(FitOptions(home / "nowhere", backbone="squeezenet1_1", weights="none"))
    until(lambda: state(run) == "failed", 120)
    message = jobs.progress_of(run).message
    assert str(home / "nowhere") in message and "Traceback" not in message


@pytest.mark.parametrize("name", ["../../etc", "a b", "x" * 61, "-x", "a/b"])
def test_a_backbone_that_is_no_name_makes_no_folder(home: Path, name: str) -> None:
    with pytest.raises(UserError, match="backbone="):
        start(FitOptions(home, backbone=name))
    assert not (home / "workspace").exists()


def test_progress_survives_a_status_that_makes_no_sense(home: Path) -> None:
    run = run_with("vgg16", {"class_names": []})
    write_json(run.folder / "status.json", {"state": "done", "done": "x", "total": None})
    assert jobs.progress_of(run) == jobs.JobProgress("done")
    (run.folder / "status.json").write_text("{")
    assert jobs.progress_of(run).state == "lost"


def test_log_lines_are_the_last_ones_without_terminal_codes(home: Path) -> None:
    run = run_with("vgg16", {"class_names": []})
    assert jobs.last_log_lines(run) == []
    (run.folder / jobs.LOG).write_bytes(b"a\n\x1b[31mred\x1b[0m\n\n50%\r100%\n\xff\n" * 20_000)
    assert jobs.last_log_lines(run, 4) == ["red", "50%", "100%", "\ufffd"]
