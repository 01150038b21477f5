"""Every public name is documented in full, and its examples and the README's run."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import engine
from engine.analysis.clip_report import ClipReport
from engine.analysis.compare import Comparison
from engine.analysis.scores import Metrics
from engine.analysis.slice_report import SliceReport
from engine.analysis.suspects import Triage
from engine.competition.submit import Submitted
from engine.data.dataset import Dataset
from engine.data.demo import DemoSummary
from engine.data.relocation import Relocated
from engine.library.backbones import Backbones
from engine.library.run_report import RunReport
from engine.library.scores import Recommendation
from engine.model.export import Exported
from engine.model.predict import Predicted
from engine.runs.next_steps import NextSteps
from engine.runs.predictions import Predictions
from tests.support.paths import ROOT

FIT = {"backbone": "squeezenet1_1", "weights": "none", "image_size": 64, "folds": 2, "epochs": 2}
RESULTS = (  # what the public functions return
    Backbones, ClipReport, Comparison, Dataset, DemoSummary, Exported, Metrics, NextSteps,
    Predicted, Predictions, Recommendation, Relocated, RunReport, SliceReport, Submitted, Triage,
)  # fmt: skip
AS_PRINTED = ("as_json", "summary")  # plain values, as a command prints them
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small demo and a workspace of two runs fitted on it."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECONDLOOK_HOME", str(folder / "workspace"))
        patch.chdir(folder)
        engine.draw_demo("demo", train=40, test=6)
        for seed in (1, 0):
            engine.fit("demo", **FIT, seed=seed)
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a copy of the prepared folder."""
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    monkeypatch.setenv("SECONDLOOK_HOME", str(folder / "workspace"))
    monkeypatch.chdir(folder)
    yield folder


def documented(name: str) -> list[tuple[str, object]]:
    """Return a public name and, of a class of the library, its own public methods."""
    value = getattr(engine, name)
    found = [(name, value)]
    if inspect.isclass(value) and value.__module__.startswith("engine.library"):
        found += [
            (f"{name}.{key}", method) for key, method in vars(value).items()
            if inspect.isfunction(method) and not key.startswith("_")
        ]  # fmt: skip
    return found


@pytest.mark.parametrize("name", engine.__all__)
def test_its_docstring_is_complete(name):
    for title, value in documented(name):
        text = inspect.getdoc(value) or ""
        assert text.splitlines()[0].endswith("."), title
        assert "Examples\n--------\n>>> import engine\n" in text, title
        if inspect.isclass(value):
            assert "Attributes\n----------\n" in text or "Parameters\n----------\n" in text, title
            continue
        names = [key for key in inspect.signature(inspect.unwrap(value)).parameters]
        names = [key for key in names if key != "self"]
        described = text.split("Parameters\n----------\n")[1] if names else ""
        for key in names:
            assert re.search(rf"(^|, |``){key}\b", described, re.M), f"{title}: {key}"
        assert "Returns\n-------\n" in text, title
        assert "Raises\n------\nUserError\n" in text or name == "list_runs", title


@pytest.mark.parametrize("name", engine.__all__)
def test_its_examples_run(name, place, capsys):
    runner = doctest.DocTestRunner(verbose=False)
    parser = doctest.DocTestParser()
    for title, value in documented(name):
        test = parser.get_doctest(inspect.getdoc(value) or "", {}, title, None, None)
        assert test.examples, title
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("kind", RESULTS, ids=lambda kind: kind.__name__)
def test_a_result_names_its_fields_and_an_example_uses_its_methods(kind):
    assert "Attributes\n----------\n" in (inspect.getdoc(kind) or "")
    examples = "".join(
        inspect.getdoc(value) or "" for name in engine.__all__ for _, value in documented(name)
    )
    for name, method in vars(kind).items():
        if not name.startswith("_") and name not in AS_PRINTED and inspect.isfunction(method):
            assert f".{name}(" in examples, name
            parameters = set(inspect.signature(method).parameters) - {"self"}
            assert not [key for key in parameters if key not in (inspect.getdoc(method) or "")]


def test_the_readmes_example_prints_what_it_says(tmp_path, monkeypatch, capsys):
    """The words to the letter; scores as they are on another processor."""
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.split("\n## From Python\n")[1].split("\n## ")[0]
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", section, re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert NUMBER.sub("#", out) == NUMBER.sub("#", printed)
    ours, theirs = (np.array(NUMBER.findall(each), dtype=float) for each in (out, printed))
    np.testing.assert_allclose(ours, theirs, rtol=0.3, atol=0.1)
