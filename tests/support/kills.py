"""Kill fits at random moments and see what is left: ``python -m tests.support.kills``.

Fits run in forks of one process that has imported everything, so that fifty of them are quick;
each is killed by SIGKILL after a random share of the time that a whole one takes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

from engine.runs.run import Run
from engine.runs.run_list import list_runs
from tests.support.small_fits import home, small_fit

KILLS_EACH = 2  # in one workspace, before the fit may end


def main(data: Path, folder: Path, train: str, kills: int, seed: int) -> dict[str, Any]:
    """Kill that many fits; return how many there were and how they ended."""
    torch.set_num_threads(1)
    rng = random.Random(seed)
    with home(folder / "unbroken"):
        _fit(data, train)  # which also imports whatever is imported late
    unbroken = _result(folder / "unbroken")
    began = time.monotonic()
    _wait(_started(data, folder / "timed", train))
    length = time.monotonic() - began
    assert _result(folder / "timed") == unbroken

    killed, leftovers, files, finished, workspaces = 0, 0, 0, 0, 0
    while killed < kills:
        workspaces += 1
        workspace = folder / f"killed{workspaces}"
        ended = False
        for attempt in range(KILLS_EACH):
            child = _started(data, workspace, train)
            time.sleep(rng.uniform(0, length / (1 + attempt)))  # a resumed fit is shorter
            os.kill(child, signal.SIGKILL)
            exited = os.WIFEXITED(os.waitpid(child, 0)[1])
            ended = exited or _has_done(workspace)  # killed between its last word and its end
            whole, left = check_whole(workspace)
            files, leftovers = files + whole, leftovers + left
            if ended:
                finished += 1
                break
            killed += 1
        if not ended:
            _wait(_started(data, workspace, train))
        result = _result(workspace)
        differs = [key for key, value in unbroken.items() if result[key] != value]
        assert not differs, f"{workspace}: {differs} differ"
        assert not [*workspace.glob("runs/*/.*.safetensors.*"), *workspace.glob("runs/*/.tmp*")]
    return {
        "kills": killed, "workspaces": workspaces, "seconds": length, "files_checked": files,
        "temporary_files_left": leftovers, "finished_before_the_kill": finished,
    }  # fmt: skip


def check_whole(workspace: Path) -> tuple[int, int]:
    """Read every file of a workspace to its end; return how many, and how many temporary ones.

    A temporary file, which nobody reads, is what a killed writer leaves.
    """
    whole, left = 0, 0
    for path in workspace.rglob("*"):
        if not path.is_file() or path.name.endswith(".lock"):
            continue
        if path.name.startswith(".") and ".tmp" in path.suffixes + [path.name[:4]]:
            left += 1
            continue
        _read(path)
        whole += 1
    return whole, left


def _read(path: Path) -> None:
    if path.suffix == ".json":
        assert isinstance(json.loads(path.read_text()), dict), path
    elif path.suffix == ".jsonl":
        assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())
    elif path.suffix == ".parquet":
        assert pq.read_table(path).num_columns > 0, path
    elif path.suffix == ".safetensors":
        assert load_file(path), path
        if "cache" in path.parts:
            assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem), path
    elif path.suffix == ".csv":
        header, *rows = csv.reader(path.read_text().splitlines())
        assert all(len(row) == len(header) for row in rows), path
    else:
        raise AssertionError(f"{path} is of no kind that a fit writes")


def _fit(data: Path, train: str) -> None:
    small_fit(data, train=train, epochs=4)


def _started(data: Path, workspace: Path, train: str) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.environ["SECONDLOOK_HOME"] = str(workspace)
        _fit(data, train)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _wait(child: int) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"a fit that nobody killed ended with {status}"


def _has_done(workspace: Path) -> bool:
    """Tell whether a fit of this workspace has come to its end: the next would be a new one."""
    with home(workspace):
        return any(run.status.state == "done" for run in list_runs())


def _result(workspace: Path) -> dict[str, Any]:
    """Return what the one finished run of a workspace holds, to the bit."""
    with home(workspace):
        runs = list_runs()
    done = [run for run in runs if run.status.state == "done"]
    assert len(runs) == len(done) == 1, [(run.name, run.status) for run in runs]
    return _contents(done[0])


def _contents(run: Run) -> dict[str, Any]:
    tables = {
        split: pq.read_table(run.predictions_path(split)).to_pydict() for split in ("valid", "test")
    }
    model = next(run.folder.glob("*.safetensors"))
    epochs = [{k: v for k, v in line.items() if k != "seconds"} for line in run.epochs]
    tensors = {name: hash(t.numpy().tobytes()) for name, t in load_file(model).items()}
    return {"tables": tables, "tensors": tensors, "model": model.name, "epochs": epochs}


if __name__ == "__main__":
    data, folder, train, *numbers = sys.argv[1:]
    print(json.dumps(main(Path(data), Path(folder), train, *map(int, numbers))))
