"""torchvision works as ever, and PyTorch's compiler is imported only when something asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

ORDINARY = """
import sys
from engine.light_torchvision import torchvision
import torch
assert "torch._dynamo" not in sys.modules
assert not hasattr(torchvision.ops.roi_align, "__path__")
pixels, boxes = torch.arange(16.0).reshape(1, 1, 4, 4), [torch.tensor([[0.0, 0.0, 4.0, 4.0]])]
print(torchvision.ops.roi_align(pixels, boxes, 2, aligned=True).tolist())
asked = sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu")
from torch._dynamo.utils import is_compile_supported
assert asked == is_compile_supported("cpu")
"""
UNFORESEEN = """
import sys
from engine.light_torchvision import torchvision
import torch._dynamo
print(torchvision.found is torch._dynamo.utils.counters, torchvision.cache_size)
"""


def _said(script: str, path: Path | None = None) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, filter(None, [path, ROOT])))}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_its_operators_work_and_the_compiler_answers_when_asked():
    assert _said(ORDINARY) == "[[[[2.5, 4.5], [10.5, 12.5]]]]"


def test_what_another_version_asks_of_the_compiler_is_there(tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from torch._dynamo.utils import counters as found\n"
        "from torch._dynamo import config\n"
        "cache_size = config.recompile_limit\n"
    )
    assert _said(UNFORESEEN, tmp_path) == "True 8"
