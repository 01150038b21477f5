"""The commands `triage`, `verdict` and `verdicts`, as a script and a person meet them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main as command_line
from engine.runs.run import Run
from tests.support.small_fits import home, small_fit
from tests.support.tiny_images import kaggle


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("place")
    kaggle(folder / "data", train=12, test=1, classes=("cat", "dog"))
    with home(folder / "workspace"):
        return folder / "workspace", small_fit(folder / "data", valid=6).run


@pytest.fixture
def say(place: tuple[Path, Run], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Return a function that runs a command on the run: exit code, stdout, stderr."""
    workspace, run = place
    monkeypatch.setenv("SECONDLOOK_HOME", str(workspace))
    monkeypatch.setenv("COLUMNS", "200")
    shutil.rmtree(workspace / "verdicts", ignore_errors=True)

    def said(*arguments: str) -> tuple[int, str, str]:
        words = [run.name if word == "RUN" else word for word in arguments]
        monkeypatch.setattr("sys.argv", ["engine", *words])
        code = command_line.main()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return said


def document(said: tuple[int, str, str]) -> Any:
    code, out, err = said
    assert (code, err) == (0, "") and out.count("\n") == 1
    return json.loads(out)


def test_a_verdict_is_said_amended_listed_and_taken_back(say):
    first = document(say("verdict", "RUN", "cat.3", "wrong-label", "--json"))
    assert first["path"] == "train/cat.3.jpg" and first["twins"] == []
    assert first["verdict"]["given"] == "cat"
    assert (first["verdict"]["verdict"], first["verdict"]["label"]) == ("wrong-label", "dog")
    second = document(say("verdict", "RUN", "cat.3", "--cause", "scale", "--json"))["verdict"]
    assert (second["label"], second["cause"]) == ("dog", "scale")
    assert document(say("verdicts", "--json")) == [second]
    assert "correct label dog, scale" in say("verdict", "RUN", "cat.3", "--cause", "scale")[1]
    for _ in range(3):
        said = document(say("verdict", "RUN", "cat.3", "--undo", "--json"))
    assert said["verdict"] is None and document(say("verdicts", "--json")) == []
    assert "No verdicts yet" in say("verdicts")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("verdict", "RUN", "wolf.1", "fine"), 1, "wolf.1"),
        (("verdict", "RUN", "1", "fine"), 1, "not a labelled image"),
        (("verdict", "RUN", "cat.1", "nice"), 1, "nice"),
        (("verdict", "RUN", "cat.1", "both", "--class", "dog"), 1, "--class"),
        (("verdict", "RUN", "cat.1", "--class", "wolf"), 1, "wolf"),
        (("verdict", "RUN", "cat.1", "hard", "--cause", "luck"), 1, "luck"),
        (("verdict", "RUN", "cat.1", "--undo"), 1, "cat.1"),
        (("verdict", "RUN", "cat.1"), 2, "VERDICT"),
        (("verdict", "RUN", "cat.1", "fine", "--undo"), 2, "--undo"),
        (("triage", "nobody"), 1, "nobody"),
        (("triage", "RUN", "--n", "0"), 2, "--n"),
    ],
)
def test_what_cannot_be_is_refused_by_name(say, arguments, code, named):
    got, out, err = say(*arguments)
    assert (got, out) == (code, "") and named in err and "Traceback" not in err
    assert document(say("verdicts", "--json")) == []


def test_triage_lists_suspects_with_their_reason(say):
    found = document(say("triage", "RUN", "--n", "5", "--json"))
    assert found["n"] == 24 and sum(found["kinds"].values()) == 24
    assert len(found["suspects"]) == 5
    assert found["suspects"][0].keys() == {
        "id", "path", "split", "label", "suggested", "kind", "score", "reason", "sha256",
    }  # fmt: skip
    code, out, err = say("triage", "RUN", "--n", "2")
    assert (code, err) == (0, "")
    assert found["suspects"][1]["path"] in out
    assert found["suspects"][1]["reason"] in out
    assert found["suspects"][2]["path"] not in out
