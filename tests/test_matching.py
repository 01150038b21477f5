"""docs/matching.md names every module that matches names or writes files."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.modules import MODULES
from tests.support.paths import ROOT

MATCH = {"match_names", "match_images", "positions_in", "index_in", "find_image", "chosen_table"}
WRITE = {
    "write_atomic", "write_json", "atomic_path", "save_tensors", "open_log", "write_shard",
    "write_text", "write_bytes",
}  # fmt: skip
HELPERS = {"engine.runs.files", "engine.portable"}  # by which the others write


def called(name: str) -> set[str]:
    """Return the functions that a module calls or defines, and "open" where it opens to write."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if not isinstance(node, ast.Call):
            continue
        text = ast.unparse(node.func)
        found.add("os.replace" if text == "os.replace" else text.rpartition(".")[2])
        modes = {ast.unparse(each) for each in [*node.args, *(k.value for k in node.keywords)]}
        if text in ("open", "os.fdopen") and modes & {repr(m) for m in ("w", "x", "a", "xb", "wb")}:
            found.add("open to write")
    return found


def listed(heading: str) -> set[str]:
    text = (ROOT / "docs" / "matching.md").read_text("utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    paths = re.findall(r"`((?:engine|dashboard)/[\w/]+)\.py`", section)
    return {path.replace("/", ".") for path in paths}


@pytest.mark.parametrize(
    ("heading", "functions"),
    [("What is matched", MATCH), ("What is written", WRITE | {"os.replace", "open to write"})],
)
def test_every_module_that_does_it_is_listed(heading, functions):
    doing = {name for name in MODULES if called(name) & functions} - HELPERS
    assert listed(heading) == doing
