"""A UserError names the argument as a script writes it, and as the command line does."""

from __future__ import annotations

import pickle
import re

import pytest

from engine.errors import UserError
from tests.support.paths import ROOT


@pytest.mark.parametrize(
    ("option", "value", "script", "terminal"),
    [
        ("", None, "is wrong.", "is wrong."),
        ("lower", 0.5, "lower=0.5 is wrong.", "--lower 0.5 is wrong."),
        ("lower", -1.0, "lower=-1.0 is wrong.", "--lower -1 is wrong."),
        ("lr", 1e30, "lr=1e+30 is wrong.", "--lr 1e+30 is wrong."),
        ("batch_size", 0, "batch_size=0 is wrong.", "--batch-size 0 is wrong."),
        ("weights", "a b.pth", "weights='a b.pth' is wrong.", "--weights a b.pth is wrong."),
        ("message", None, "message is wrong.", "--message is wrong."),
    ],
)
def test_the_argument_is_named_for_a_script_and_for_a_terminal(option, value, script, terminal):
    error = UserError("is wrong.", option=option, value=value)
    assert (str(error), error.on_command_line) == (script, terminal)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.on_command_line) == (script, terminal)


def test_no_message_of_the_engine_spells_an_option():
    """Only the command line and torchrun's own option are spelled with dashes."""
    spelled = re.compile(r'UserError\(\s*f?"[^"]*--[a-z]')
    files = [
        path for path in (ROOT / "engine").rglob("*.py")
        if path.name != "ranks.py" and path.parent.name != "cli"
    ]  # fmt: skip
    assert len(files) > 80
    assert not [path for path in files if spelled.search(path.read_text("utf-8"))]
