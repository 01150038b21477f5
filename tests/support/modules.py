"""The modules of the project, and what each of them imports."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support.paths import ROOT

MAY_USE = {  # room: the other rooms it may import
    "engine.data": {"engine.runs"},
    "engine.runs": set(),
    "engine.analysis": {"engine.runs"},
    "engine.competition": {"engine.analysis", "engine.data", "engine.runs"},
    "engine.model": {"engine.data", "engine.runs", "engine.analysis"},
    "engine.html_report": {"engine.competition", "engine.analysis", "engine.data", "engine.runs"},
    "dashboard": {
        "engine.data", "engine.runs", "engine.analysis", "engine.competition", "engine.html_report",
    },
}  # fmt: skip


def modules() -> dict[str, Path]:
    files = [*(ROOT / "engine").rglob("*.py"), *(ROOT / "dashboard").rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(files)
    }


def imports(path: Path) -> set[str]:
    """Return every module a file imports, also inside functions and for type checking."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import, which hides its room"
            assert node.module
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


MODULES = modules()
IMPORTS = {name: imports(path) for name, path in MODULES.items()}
IMPORTS["engine"] = set()  # it loads a public name on first use; tests/test_library.py holds that
