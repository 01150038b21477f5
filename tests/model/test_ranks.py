"""Two processes that torchrun starts do one fit: shared pass, one run, the same predictions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import UserError
from engine.model.ranks import Ranks, joined
from engine.runs.run import Run
from engine.runs.run_list import list_runs
from tests.support.paths import ROOT
from tests.support.small_fits import home, run_folders, small_fit, tables
from tests.support.tiny_images import kaggle, put

SMALL = "from tests.support.small_fits import small_fit, small_options\n"


def torchrun(folder: Path, script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "script.py"
    file.write_text(textwrap.dedent(script))
    environment = os.environ | {
        "SECONDLOOK_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", str(file), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 43 images, an odd number, and one that cannot be decoded."""
    folder = kaggle(tmp_path_factory.mktemp("data"), train=17, test=9)
    put(folder / "train" / "cat.99.jpg", b"\xff\xd8\xff\xe0 nothing")
    return folder


def the_run(folder: Path) -> Run:
    (run,) = list_runs()
    assert run.folder.is_relative_to(folder)
    return run


def largest_difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    columns = [name for name in one["valid"].column_names if name.startswith("p_")]
    for split in ("valid", "test"):
        assert one[split]["id"] == other[split]["id"]
    return max(
        float(np.abs(one[split][name].to_numpy() - other[split][name].to_numpy()).max())
        for split in ("valid", "test")
        for name in columns
    )


def test_a_rank_that_dies_is_reported_and_the_pass_goes_on_where_it_was(data, tmp_path):
    fit = f"""
        import os, signal, sys
        from pathlib import Path
        from engine.cli.exit_codes import leave
        from engine.errors import UserError
        from engine.model import features
        from engine.runs.run import Run
        {SMALL}
        features.SHARD_ROWS = 8
        write, shards = features.write_shard, []

        def write_and_die(*arguments):
            write(*arguments)
            shards.append(arguments)
            if os.environ["RANK"] == "1" and len(sys.argv) > 2:
                os.kill(os.getpid(), signal.SIGKILL)

        def last_word(run, state, **values):
            if state == "failed":  # torchrun's own signal may come at this moment
                os.kill(os.getpid(), signal.SIGTERM)
            set_status(run, state, **values)

        features.write_shard = write_and_die
        set_status, Run.set_status = Run.set_status, last_word
        try:
            result = small_fit(Path(sys.argv[1]))
        except UserError as error:
            print(f"said: {{error}}", file=sys.stderr)
            leave(1)
        print(f"rank {{os.environ['RANK']}}: {{result.forward_passes}}")
        leave(0)
        """
    script = "\n".join(line.removeprefix("        ") for line in fit.splitlines())
    died = torchrun(tmp_path, script, data, Path("die"))
    assert died.returncode == 1
    assert "said: another of the fit's 2 processes ended" in died.stderr
    with home(tmp_path / "home"):
        status = the_run(tmp_path).status
        assert status.state == "failed"
        assert "start it again" in status.message

        again = torchrun(tmp_path, script, data)
        assert again.returncode == 0, again.stderr
        run = the_run(tmp_path)  # the same one
        assert run.status.state == "done"
    passes = re.findall(r"rank \d: (\d+)", again.stdout)  # both may write into one line
    assert len(passes) == 2 and len(set(passes)) == 1, again.stdout  # both return the result
    assert 0 < int(passes[0]) < 43  # what was done before the end was not done again
    with home(tmp_path / "alone"):
        alone = small_fit(data)
        assert alone.forward_passes == 43
        assert largest_difference(tables(alone.run), tables(run)) < 1e-6
    assert run.quarantine["path"].tolist() == alone.run.quarantine["path"].tolist()


def test_training_a_whole_network_in_two_processes_is_training_it_in_one(data, tmp_path):
    choices = {
        "train": "all", "backbone": "resnet18", "epochs": 1, "batch_size": 7, "lr": 1e-5,
    }  # fmt: skip
    script = f"import sys\nfrom pathlib import Path\n{SMALL}"
    script += f"small_fit(Path(sys.argv[1]), **{choices!r})\n"
    script += "from engine.cli.exit_codes import leave\nleave(0)\n"
    ran = torchrun(tmp_path, script, data)
    assert ran.returncode == 0, ran.stderr
    with home(tmp_path / "alone"):
        alone = small_fit(data, **choices)
    with home(tmp_path / "home"):
        run = the_run(tmp_path)
        assert len(run_folders(tmp_path / "home")) == 1
    for one, two in zip(alone.run.epochs, run.epochs, strict=True):
        for key in ("loss", "valid_loss"):
            assert two[key] == pytest.approx(one[key], rel=1e-4)
        assert two["accuracy"] == one["accuracy"]
    assert largest_difference(tables(alone.run), tables(run)) < 1e-3


def test_ranks_tell_each_other_and_normalise_by_all_images(tmp_path):
    script = """
        import copy
        import torch
        from torch import nn
        from engine.cli.exit_codes import leave
        from engine.errors import UserError
        from engine.model.ranks import joined
        from engine.model.sync_batch_norm import replicated

        with joined("cpu") as ranks:
            assert (ranks.world, ranks.first) == (2, ranks.rank == 0)
            assert ranks.on_rank_zero(lambda: ranks.rank + 10) == 10
            assert ranks.gather(ranks.rank) == [0, 1]
            assert ranks.total(1.5, ranks.rank) == [3.0, 1.0]
            assert list(range(5))[ranks.share] == [[0, 2, 4], [1, 3]][ranks.rank]

            def refuse():
                raise UserError("no such folder")

            try:
                ranks.on_rank_zero(refuse)
            except UserError as error:
                assert str(error) == "no such folder"
            else:
                raise AssertionError("not refused")

            torch.manual_seed(0)
            x, y = torch.randn(5, 3, 4, 4) * 3 + 7, torch.randn(5, 2)
            layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)
            own = nn.Sequential(*layers)
            whole = copy.deepcopy(own)
            replica = replicated(own, "cpu", ranks)
            some = x[ranks.share]
            ((replica(some) - y[ranks.share]).square().sum() * 2 / 5).backward()
            ((whole(x) - y).square().sum() / 5).backward()
            for a, b in zip(own.parameters(), whole.parameters()):
                assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-4), (a.grad, b.grad)
            for (name, a), b in zip(own.state_dict().items(), whole.state_dict().values()):
                assert torch.allclose(a, b, rtol=1e-5, atol=1e-6), name
            own.eval(), whole.eval()
            assert torch.allclose(own(x), whole(x), atol=1e-5)
        leave(0)
        """
    ran = torchrun(tmp_path, script)
    assert ran.returncode == 0, ran.stderr


def test_alone_nobody_is_asked():
    ranks = Ranks()
    assert ranks.first and ranks.on_rank_zero(lambda: 3) == 3
    assert ranks.gather(4) == [4] and ranks.total(1.0, 2) == [1.0, 2]
    assert torch.arange(3)[ranks.share].tolist() == [0, 1, 2]


def test_a_half_set_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UserError, match="RANK"), joined("cpu"):
        pass
