"""The command line, run here for speed, and what a refusal has to look like."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from engine.cli import main as command_line
from tests.support.command_line import Engine, Said


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Engine:
    """Return a function that runs ``python -m engine`` with these arguments, in this process."""

    def run(*arguments: Any) -> Said:
        monkeypatch.setattr(sys, "argv", ["engine", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capfd.readouterr()
        code = command_line.main()
        return Said(code, *capfd.readouterr())

    return run


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """On images as small as these, threads cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
