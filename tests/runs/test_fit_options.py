"""One table of fit options feeds the command line, the Train page, jobs and refits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli import main
from engine.errors import UserError
from engine.runs.fit_defaults import checked_options
from engine.runs.fit_option import FitOption
from engine.runs.fit_options import FIT_OPTIONS, FitOptions


def example(option: FitOption) -> Any:
    """Return a value that is not the option's default."""
    if option.choices:
        return option.choices[-1]
    return {bool: True, int: 33, float: 0.5, str: "-x <b> y"}[option.kind]


CHANGED = FitOptions("photos", **{option.name: example(option) for option in FIT_OPTIONS})


def test_what_arguments_says_is_what_the_command_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[FitOptions] = []
    monkeypatch.setattr(
        "engine.cli.fit.run_fit", lambda options, run, as_json: read.append(options)
    )
    for options in (CHANGED, FitOptions("photos")):
        result = CliRunner().invoke(main.app, ["fit", *options.arguments()])
        assert result.exit_code == 0, result.output
    for found, given in zip(read, (CHANGED, FitOptions("photos")), strict=True):
        assert found.path == given.path and found.changed() == given.changed()


def test_every_option_is_in_the_help_with_its_text() -> None:
    said = " ".join(CliRunner().invoke(main.app, ["fit", "--help"]).output.split())
    for option in FIT_OPTIONS:
        assert option.flag in said and option.help.split()[0] in said


def test_changed_options_are_json_and_the_key_leaves_out_data_and_name() -> None:
    assert json.loads(json.dumps(CHANGED.changed())) == CHANGED.changed()
    assert set(CHANGED.changed()) == {option.name for option in FIT_OPTIONS}
    assert {"data", "name"}.isdisjoint(CHANGED.key_values())
    assert set(CHANGED.key_values()) == {o.name for o in FIT_OPTIONS} - {"name"}


def test_a_form_leaves_out_what_was_not_chosen() -> None:
    chosen = FitOptions.chosen("photos", {"epochs": None, "name": "", "lr": 0.1, "sample": False})
    assert chosen == FitOptions("photos", lr=0.1)
    with pytest.raises(TypeError, match="epoch_count"):
        FitOptions.chosen("photos", {"epoch_count": 3})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("train", "some", "train='some' is unknown; choose head or all."),
        ("device", "tpu", "device='tpu' is unknown; choose auto, cpu, cuda or mps."),
        ("epochs", 0, "epochs=0 must lie between 1 and 1,000,000."),
        ("lr", float("nan"), "lr=nan must lie between 1e-07 and 1,000."),
        ("seed", 2**31, "seed=2147483648 must lie between 0 and 2,147,483,647."),
        ("batch_size", 65_537, "batch_size=65537 must lie between 1 and 65,536."),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_flag(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        checked_options(FitOptions("photos", **{name: value}))
    assert str(error.value) == sentence


def test_data_may_be_text_or_a_path() -> None:
    assert FitOptions("photos").path == FitOptions(Path("photos")).path == Path("photos")


def test_the_table_imports_nothing_heavy() -> None:
    code = (
        "import sys, engine.runs.fit_options; print({'torch', 'pandas', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
