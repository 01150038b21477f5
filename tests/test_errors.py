"""A UserError names the argument as a script writes it, and as the command line does."""

from __future__ import annotations

import pickle

import pytest

from engine.errors import UserError


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


def test_options_inside_a_sentence_are_spelled_for_the_reader():
    error = UserError("fits two; choose with --labels FILE or --id-column C, see `fit --help`.")
    assert error.on_command_line == error.sentence
    assert str(error) == "fits two; choose with labels=FILE or id_column=C, see `fit --help`."
    labels = {"labels": "Label table", "id_column": "Image column"}
    assert error.on_form(labels.__getitem__) == (
        "fits two; choose with “Label table” or “Image column”, see `fit --help`."
    )
