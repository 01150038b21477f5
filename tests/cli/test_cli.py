"""The command line as a person and a script meet it: in processes of its own."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.progress import Progress

from engine.cli import main as command_line
from engine.cli.progress import Watcher, watching
from tests.support.paths import ROOT
from tests.support.tiny_images import image_bytes, kaggle, put

COMMANDS = typer.main.get_command(command_line.app).commands  # type: ignore[attr-defined]
DESIGN = {  # command: the options that the design promises
    "demo": ["--train", "--test", "--seed"],
    "download": ["--to"],
    "fit": [
        "--backbone", "--weights", "--train", "--epochs", "--batch-size", "--lr", "--image-size",
        "--valid", "--sample", "--seed", "--device", "--precision", "--name",
    ],
    "predict": ["--data"],
    "import": ["--images"],
    "report": ["--n", "--seed"],
    "clip": ["--lower", "--upper"],
    "submit": ["--lower", "--upper", "--sample", "--out", "--send", "--message"],
    "runs": [],
}  # fmt: skip
SMALL = [
    "--backbone", "squeezenet1_1", "--weights", "none", "--image-size", "32", "--epochs", "3",
    "--precision", "float32",
]  # fmt: skip
UNWEIGHTED = SMALL[:2] + SMALL[4:]


def _environment(workspace: Path) -> dict[str, str]:
    return os.environ | {
        "SECONDLOOK_HOME": str(workspace), "OMP_NUM_THREADS": "1", "COLUMNS": "200",
        "TORCH_HOME": str(workspace / "torch"), "PYTHONWARNINGS": "default",
    }  # fmt: skip


def cli(workspace: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments], cwd=ROOT, env=_environment(workspace),
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def done(workspace: Path, *arguments: str | Path) -> str:
    """Return what a command that must succeed prints, with nothing on stderr."""
    result = cli(workspace, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def as_json(workspace: Path, *arguments: str | Path) -> Any:
    """Return the one document that a command prints with ``--json``."""
    stdout = done(workspace, *arguments, "--json")
    assert stdout.count("\n") == 1 and stdout.isascii()
    return json.loads(stdout)


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str):
    """Run ``main`` here, which is quicker, for what needs no process of its own."""
    monkeypatch.setattr(sys, "argv", ["engine", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    code = command_line.main()
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("command", sorted(DESIGN))
def test_every_command_of_the_design_has_help_with_its_options(command, monkeypatch, capsys):
    code, out, err = said(monkeypatch, capsys, command, "--help")
    assert (code, err) == (0, "")
    shown = set(re.findall(r"--[a-z][a-z-]*", out))
    assert {*DESIGN[command], "--json", "--help"} <= shown
    hidden = {"--into"}
    for parameter in COMMANDS[command].params:
        assert any(option in shown for option in parameter.opts if option.startswith("--")) or (
            not parameter.opts[0].startswith("--") or parameter.opts[0] in hidden
        )
    assert out.strip().splitlines()[0].strip().startswith("Usage:")


def test_there_is_no_command_beside_the_designs_and_those_that_look_deeper():
    deeper = {file.stem for file in (ROOT / "engine" / "cli").glob("[!_]*.py")}
    assert set(DESIGN) < set(COMMANDS)
    # `verdicts` lies with `verdict`, and `recommend` under its name before.
    assert set(COMMANDS) - set(DESIGN) - {"verdicts", "recommend"} <= deeper


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"bounds"}))  # `recommend` before
def test_the_readme_speaks_of_every_command(command):
    text = (ROOT / "README.md").read_text("utf-8")
    assert re.search(rf"^\| `{command}\b", text, re.MULTILINE)


def test_the_readme_speaks_of_no_command_that_is_none():
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"(?:second-look|-m engine) ([a-z]+)", text))
    assert named and named <= set(COMMANDS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with data/ (a sample in an order of its own) and a workspace/."""
    folder = tmp_path_factory.mktemp("place")
    data = kaggle(folder / "data", train=15, test=7)
    put(data / "test" / "8.jpg", b"\xff\xd8\xff\xe0 half an image")
    rows = "".join(f"{n},0.5\n" for n in (4, 8, 1, 7, 2, 6, 3, 5))
    (data / "sample_submission.csv").write_text(f"id,label\n{rows}")
    return folder


@pytest.fixture(scope="module")
def home(place: Path) -> Path:
    return place / "workspace"


@pytest.fixture(scope="module")
def fitted(place: Path, home: Path) -> dict[str, Any]:
    return as_json(home, "fit", place / "data", *SMALL, "--name", "the first")


def test_fit_prints_the_keys_of_the_design(fitted):
    assert fitted["n"] == {"train": 24, "valid": 6, "test": 7, "quarantined": 1}
    assert fitted["valid"].keys() == {"accuracy", "log_loss"}
    low, high = fitted["intervals"]["valid"]["log_loss"]
    assert low < fitted["valid"]["log_loss"] < high
    assert fitted["forward_passes"] == 37
    assert fitted["seconds"].keys() >= {"total", "features", "fit", "predict"}
    assert fitted["images_per_second"] > 0 and isinstance(fitted["run"], str)


def test_report_prints_the_keys_of_the_design(home, fitted):
    found = as_json(home, "report", fitted["run"][:20], "--n", "2", "--seed", "3")
    assert found["run"] == fitted["run"] and found["n"] == 6
    assert found["class_names"] == ["cat", "dog"]
    for key in ("accuracy", "log_loss"):
        assert found[key] == pytest.approx(fitted["valid"][key], rel=1e-12)
        low, high = found[f"{key}_interval"]
        assert low <= found[key] <= high
    assert [len(row) for row in found["confusion_matrix"]] == [2, 2]
    categories = found["categories"]
    assert categories.keys() == {
        "random-correct", "random-incorrect", "most-correct", "most-incorrect", "most-uncertain",
    }  # fmt: skip
    assert (
        categories["most-correct"].keys() == categories["most-incorrect"].keys() == {"cat", "dog"}
    )
    assert len(categories["most-uncertain"]) == 2
    shown = categories["most-uncertain"][0]
    assert shown.keys() == {"id", "path", "label", "predicted", "probabilities", "log_loss"}
    assert shown["probabilities"].keys() == {"cat", "dog"}


def test_clip_prints_the_keys_of_the_design(home, fitted):
    found = as_json(home, "clip", "latest", "--lower", "0.3", "--upper", "0.7")
    assert (found["lower"], found["upper"]) == (0.3, 0.7)
    assert found["log_loss_before"] == pytest.approx(fitted["valid"]["log_loss"], rel=1e-12)
    assert found.keys() >= {
        "log_loss_after", "best_symmetric", "best_independent", "interval", "curve",
    }  # fmt: skip
    assert {"bound", "log_loss"} <= found["curve"][0].keys()


def test_predict_prints_the_keys_of_the_design(home, fitted, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SECONDLOOK_HOME", str(home))
    code, out, err = said(monkeypatch, capsys, "predict", "latest", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    own = json.loads(out)
    assert (own["n"], own["quarantined"], own["forward_passes"]) == (7, 1, 0)
    assert Path(own["file"]).name == "test.parquet" and "log_loss" not in own
    for n in range(3):
        put(tmp_path / "new" / f"cat.{900 + n}.jpg", image_bytes("cat", 900 + n))
    new = as_json(home, "predict", "latest", "--data", tmp_path / "new")  # a process of its own
    assert (new["n"], new["quarantined"], new["forward_passes"]) == (3, 0, 3)
    assert new.keys() >= {"accuracy", "log_loss"}


def test_submit_keeps_the_samples_order_and_gives_a_lost_image_the_base_rate(
    home, fitted, tmp_path
):
    out = tmp_path / "to kaggle.csv"
    result = cli(
        home, "submit", "latest", "--lower", "0.1", "--upper", "0.9", "--out", out, "--json"
    )
    assert result.returncode == 0
    assert result.stderr == "'8' cannot be read and got the base rate.\n"
    found = json.loads(result.stdout)
    assert (found["file"], found["rows"], found["quarantined"]) == (str(out), 8, ["8"])
    assert (found["lower"], found["upper"]) == (0.1, 0.9)
    assert {"rows", "ids", "order", "range", "class direction", "missing images"} <= {
        check["name"] for check in found["checks"] if check["passed"]
    }
    with open(out, newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "label"]
    assert [id for id, _ in rows] == ["4", "8", "1", "7", "2", "6", "3", "5"]
    assert all(0.1 <= float(p) <= 0.9 for _, p in rows)
    assert float(rows[1][1]) == 0.5
    kept = sorted((home / "runs" / fitted["run"] / "submissions").glob("*.csv"))
    assert [path.read_bytes() for path in kept] == [out.read_bytes()]


def test_runs_lists_what_there_is(home, fitted):
    (line,) = as_json(home, "runs")
    assert line.keys() >= {"run", "created", "backbone", "status", "accuracy", "log_loss"}
    assert (line["run"], line["status"], line["name"]) == (fitted["run"], "done", "the first")
    assert line["log_loss"] == fitted["valid"]["log_loss"]


def test_a_person_gets_tables(home, fitted, place, monkeypatch, capsys):
    monkeypatch.setenv("SECONDLOOK_HOME", str(home))
    for command, expected in [
        (
            ["report", "latest"],
            ["log loss", "true", "predicted", "most-uncertain"],
        ),
        (["clip", "latest"], ["log loss", "symmetric", "independent"]),
        (["runs"], ["the first", "done"]),
        (["predict", "latest"], ["7 predicted", "1 quarantined", "0 forward passes"]),
    ]:
        code, out, err = said(monkeypatch, capsys, *command)
        assert (code, err) == (0, "")
        assert all(text in out for text in expected) and "Traceback" not in out


def test_import_makes_a_run_of_predictions_made_elsewhere(place, tmp_path):
    lines = ["id,label,cat,dog"]
    for n in range(6):
        lines += [f"cat.{n},cat,0.8,0.2", f"dog.{n},dog,{0.1 + n / 10:.1f},{0.9 - n / 10:.1f}"]
    table = tmp_path / "elsewhere.csv"
    table.write_text("\n".join(lines) + "\n")
    home = tmp_path / "workspace"
    found = as_json(home, "import", table, "--images", place / "data" / "train")
    assert found["n"]["valid"] == 12 and found["valid"]["accuracy"] == pytest.approx(
        11 / 12, abs=0.1
    )
    assert as_json(home, "report", "latest")["run"] == found["run"]


def test_demo_says_what_it_drew(tmp_path):
    found = as_json(tmp_path, "demo", tmp_path / "demo", "--train", "20", "--test", "3")
    assert (found["folder"], found["train"], found["test"]) == (str(tmp_path / "demo"), 20, 3)
    assert sum(found["planted"].values()) > 0
    assert len(list((tmp_path / "demo" / "train").iterdir())) == 20


def test_no_runs_yet_is_said_with_what_to_do(workspace, monkeypatch, capsys):
    code, out, err = said(monkeypatch, capsys, "runs")
    assert code == 0 and "demo" in out and err == ""
    assert said(monkeypatch, capsys, "runs", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["fit", "{tmp}/nowhere"], "{tmp}/nowhere does not exist"),
        (["fit", "{data}", *SMALL, "--backbone", "vgg17"], "--backbone vgg17"),
        (
            ["fit", "{data}", *UNWEIGHTED, "--weights", "{tmp}/none.pth"],
            "--weights {tmp}/none.pth",
        ),
        (["fit", "{data}", *UNWEIGHTED, "--weights", "{tmp}/text.pth"], "{tmp}/text.pth"),
        (["fit", "{data}", *SMALL, "--valid", "30"], "--valid 30"),
        (["fit", "{data}", *SMALL, "--epochs", "0"], "--epochs 0"),
        (["fit", "{data}", *SMALL, "--lr", "-1"], "--lr -1"),
        (["fit", "{data}", *SMALL, "--image-size", "7"], "--image-size 7"),
        (["fit", "{data}", *SMALL, "--json", "--seed", "-1"], "--seed -1"),
        (["predict", "latest", "--data", "{tmp}/gone"], "{tmp}/gone does not exist"),
        (["predict", "no-such-run"], "no-such-run"),
        (["report", "../../etc"], "'../../etc' is not the name of a run"),
        (["report", "latest", "--json"], None),
        (["clip", "latest", "--lower", "0.8", "--upper", "0.2"], "lower bound 0.8"),
        (["submit", "latest", "--sample", "{tmp}/text.pth"], "{tmp}/text.pth"),
        (["submit", "latest", "--sample", "{tmp}/nosample.csv"], "{tmp}/nosample.csv"),
        (["submit", "latest", "--out", "{data}/train/cat.0.jpg/x.csv"], "cat.0.jpg/x.csv"),
        (["import", "{tmp}/none.csv", "--images", "{data}"], "{tmp}/none.csv"),
        (["import", "{tmp}/text.pth", "--images", "{data}"], "{tmp}/text.pth"),
        (["demo", "{data}"], "{data}"),
        (["demo", "{tmp}/drawn", "--train", "3"], "--train 3"),
    ],
)
def test_what_is_refused_is_one_line_that_names_it(
    arguments, names, home, fitted, place, tmp_path, monkeypatch, capsys
):
    (tmp_path / "text.pth").write_text("hello")
    places = {"tmp": tmp_path, "data": place / "data"}
    monkeypatch.setenv("SECONDLOOK_HOME", str(home if names else tmp_path / "empty"))
    code, out, err = said(monkeypatch, capsys, *(a.format(**places) for a in arguments))
    assert code == 1 and (not out or arguments[0] == "fit" and "\nlabels: " in out)
    assert err.count("\n") == 1 and err.startswith("Error: ") and "Traceback" not in err
    assert (names or f"no finished run in {tmp_path}/empty").format(**places) in err


def test_a_refusal_is_one_line_in_a_process_of_its_own(tmp_path):
    result = cli(tmp_path, "fit", tmp_path / "nowhere", *SMALL, "--json")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: {tmp_path}/nowhere does not exist; give a folder of images, a CSV or a zip.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["paint"], "paint"),
        (["fit"], "DATA"),
        (["fit", "data", "--epoch", "3"], "--epoch"),
        (["fit", "data", "--epochs", "many"], "--epochs"),
        (["fit", "data", "--train", "neck"], "--train"),
        (["fit", "data", "--device", "tpu"], "--device"),
        (["report", "latest", "--n", "0"], "--n"),
        (["clip", "latest", "--lower", "low"], "--lower"),
        (["submit", "latest", "--send", "titanic"], "--message"),
        (["import", "table.csv"], "--images"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_the_option(arguments, names, monkeypatch, capsys):
    code, out, err = said(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert names in err and "Traceback" not in err and "Usage" in err


def test_wrong_usage_exits_with_2_in_a_process_of_its_own(tmp_path):
    result = cli(tmp_path, "report")
    assert (result.returncode, result.stdout) == (2, "") and "RUN" in result.stderr


def test_an_unforeseen_failure_is_one_line_too(monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise RuntimeError("first line \x1b[31m\nsecond line")

    monkeypatch.setattr("engine.runs.run_list.list_runs", fail)
    code, out, err = said(monkeypatch, capsys, "runs")
    assert (code, out) == (1, "")
    assert err == (
        "Error: RuntimeError: first line �[31m (set SECONDLOOK_TRACEBACK=1 for the traceback).\n"
    )
    monkeypatch.setenv("SECONDLOOK_TRACEBACK", "1")
    assert "Traceback" in said(monkeypatch, capsys, "runs")[2]


@pytest.fixture
def heeds_interrupts():
    """Have processes started here heed interrupts, which the background of a shell ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
def test_interrupted_from_the_keyboard_it_exits_with_130_and_goes_on_later(tmp_path):
    data, home = kaggle(tmp_path / "data", train=200, test=0), tmp_path / "workspace"
    command = [sys.executable, "-m", "engine", "fit", data, "--backbone", "resnet18"]
    child = subprocess.Popen(
        [*command, "--weights", "none", "--precision", "float32"], cwd=ROOT,
        env=_environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    stage = None
    while stage != "features" and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        for status in home.glob("runs/*/status.json"):
            stage = json.loads(status.read_text()).get("stage")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and "\nlabels: file names\n" in out
    assert err == "Interrupted; run the same command again to continue.\n"
    (status,) = home.glob("runs/*/status.json")
    assert json.loads(status.read_text())["state"] == "cancelled"
    assert list(home.glob("cache/features/*/*/*.safetensors"))  # what was computed is kept


HOSTILE = [
    "[bold red]markup[/]",
    "![](http://evil)",
    "esc\x1b[31mred",
    "new\nline",
    "<b>html",
    "ü☃",
]


def test_hostile_names_are_printed_as_they_are(tmp_path, monkeypatch, capsys):
    classes = ("[red]cat[/red]", "dog\x1b[2J")
    for label in classes:
        for n, name in enumerate(HOSTILE):
            put(tmp_path / "data" / label / f"{name}{n}.jpg", image_bytes(label, n))
    put(tmp_path / "data" / classes[0] / "bad [/] \x1b[31m.jpg", b"nothing")
    put(tmp_path / "data" / classes[1] / "same.jpg", image_bytes(classes[0], 0))
    fit = ["fit", str(tmp_path / "data"), *SMALL, "--name", "[blink]name[/]"]
    code, out, err = said(monkeypatch, capsys, *fit)
    assert (code, err) == (0, "") and "identical: " in out and "\x1b" not in out
    code, out, err = said(monkeypatch, capsys, "report", "latest", "--n", "20")
    assert (code, err) == (0, "") and "\x1b" not in out
    assert "[red]cat[/red]" in out and "dog�[2J" in out
    shown = [name for name in HOSTILE if name.replace("\x1b", "�").replace("\n", "�") in out]
    assert shown  # of the names, those that are in the validation set
    assert "[blink]name[/]" in said(monkeypatch, capsys, "runs")[1]
    (line,) = json.loads(said(monkeypatch, capsys, "runs", "--json")[1])
    assert line["name"] == "[blink]name[/]"


def test_hostile_paths_in_errors_stay_on_one_line(tmp_path, monkeypatch, capsys):
    code, out, err = said(monkeypatch, capsys, "fit", f"{tmp_path}/no\nsuch\x1b[31m", *SMALL)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1 and "\x1b" not in err and "no�such�[31m" in err


def test_what_c_libraries_print_does_not_reach_the_terminal(capfd):
    with watching() as watcher:
        os.write(2, b"Corrupt JPEG data\n")
        print("from Python", file=sys.stderr)
        watcher.progress("features", 1, 2)
        watcher.epoch({"epoch": 1})
    os.write(2, b"afterwards\n")
    out, err = capfd.readouterr()
    assert out == "" and err == "from Python\nafterwards\n"


def test_the_terminal_gets_its_stderr_back_after_an_error(capfd):
    before = sys.stderr
    with pytest.raises(ValueError, match="inside"), watching():
        raise ValueError("inside")
    assert sys.stderr is before
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_nothing_is_drawn_where_nobody_watches(capfd):
    Watcher(None).progress("features", 1, 10)
    assert capfd.readouterr() == ("", "")


def test_a_person_at_a_terminal_sees_progress_and_stdout_stays_json(tmp_path):
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "engine", "demo", tmp_path / "demo", "--train", "20",
         "--test", "4", "--json"],
        cwd=ROOT, env=_environment(tmp_path) | {"TERM": "xterm"}, stdout=subprocess.PIPE,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while child.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0 and json.loads(out)["train"] == 20
    assert b"Drawing" in seen and "24/" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())


def test_a_stage_of_unknown_length_shows_no_count_and_goes_when_it_is_over():
    with Progress() as bars:
        watcher = Watcher(bars)
        watcher.progress("features", 9, 9)
        watcher.progress("train", 0, 0)
        assert [task.total for task in bars.tasks] == [9, None]
        watcher.progress("predict", 0, 1)
        assert [task.visible for task in bars.tasks] == [True, False]
