"""Messages for people name the installed command, since `python -m engine` needs a checkout."""

from __future__ import annotations

import ast

import pytest

from tests.support.paths import ROOT

MODULES = sorted([*(ROOT / "engine").rglob("*.py"), *(ROOT / "dashboard").rglob("*.py")])


def sentences(source: str) -> list[str]:
    """Return the texts in a module's source, without docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


def test_texts_are_found_and_docstrings_are_not():
    source = '"""Not this."""\nraise ValueError(f"use `python -m engine {name}`")\n'
    assert sentences(source) == ["use `python -m engine ", "`"]


@pytest.mark.parametrize("command", ["python -m engine", "python3 -m engine"])
def test_no_message_names_the_module(command):
    assert len(MODULES) > 100
    naming = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in MODULES
        for text in sentences(path.read_text("utf-8"))
        if command in text
    ]
    assert naming == []
