"""The wheel as a stranger meets it: built, installed in a fresh environment, used elsewhere."""

from __future__ import annotations

import csv
import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import tomllib
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

import engine
from tests.support.browser import READY
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FIT = [
    "--backbone", "squeezenet1_1", "--weights", "none", "--image-size", "64", "--epochs", "3",
    "--precision", "float32",
]  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", str(ROOT), "--wheel-dir", str(folder), "--quiet",
         "--no-deps", "--no-build-isolation", "--disable-pip-version-check")  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment that sees this one's packages; return the command."""
    folder = tmp_path_factory.mktemp("installed") / "environment"
    builder = venv.EnvBuilder(symlinks=True)
    builder.create(folder)
    python = builder.ensure_directories(folder).env_exe
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
         "--no-index", "--disable-pip-version-check", str(wheel))  # fmt: skip
    paths = json.loads(_run(python, "-c", "import json, sysconfig as s;"
                            "print(json.dumps(s.get_paths()))"))  # fmt: skip
    (Path(paths["purelib"]) / "tests.pth").write_text(sysconfig.get_path("purelib"))
    return Path(paths["scripts"]) / "second-look"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return an empty folder to work in, with a folder of a treacherous name."""
    folder = tmp_path / "elsewhere"
    for name in ("engine", "dashboard"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong folder')")
    return folder


def _run(*words: str, cwd: Path | None = None) -> str:
    result = subprocess.run(
        words, cwd=cwd, env=_environment(), capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def _environment() -> dict[str, str]:
    ours = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    dropped = ("SECONDLOOK_", "STREAMLIT_", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if not key.startswith(dropped)} | ours


def test_the_wheel_holds_what_runs_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
        copy = opened.read("dashboard/.streamlit/config.toml")
    assert copy == (ROOT / ".streamlit" / "config.toml").read_bytes()
    expected = {
        path.relative_to(ROOT).as_posix()
        for room in ("engine", "dashboard")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and not {"__pycache__", "screenshots"} & set(path.parts)
    }
    assert held == expected | {"dashboard/.streamlit/config.toml"}
    assert {"engine/py.typed", "dashboard/py.typed", "dashboard/icon.svg"} < held


def test_what_is_pinned_lies_within_the_ranges():
    from packaging.requirements import Requirement

    pins = [
        Requirement(line)
        for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    ranges = {each.name: each.specifier for each in map(Requirement, PROJECT["dependencies"])}
    assert [pin.name for pin in pins] == list(ranges)
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "==" and exact.version in ranges[pin.name]
        assert {each.operator for each in ranges[pin.name]} == {">=", "<"}


def test_from_an_empty_folder_it_draws_fits_reports_and_submits(command, empty):
    def run(*words: str) -> Any:
        return json.loads(_run(str(command), *words, "--json", cwd=empty))

    assert _run(str(command), "--version", cwd=empty) == f"second-look {engine.__version__}\n"
    assert run("demo", "drawn", "--train", "60", "--test", "20")["train"] == 60
    fitted = run("fit", "drawn", *FIT)
    assert fitted["n"]["test"] == 20
    assert (empty / "workspace" / "runs" / fitted["run"]).is_dir()
    assert run("report", "latest")["n"] == fitted["n"]["valid"]
    assert run("submit", "latest", "--out", "mine.csv")["file"] == "mine.csv"
    with open(empty / "mine.csv", newline="") as file:
        assert len(list(csv.reader(file))) == 21
    for words, code in ((["report", "nothing"], 1), (["report"], 2)):
        failed = subprocess.run(
            [command, *words], cwd=empty, env=_environment(), capture_output=True, text=True
        )
        assert failed.returncode == code and "Traceback" not in failed.stderr


@pytest.fixture
def served(command: Path, empty: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `second-look dashboard`, which heeds Ctrl+C; yield it and the address it prints."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [command, "dashboard", "--no-browser", "--port", "0"], cwd=empty, env=_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    assert process.stdout and process.stderr
    try:
        assert select.select([process.stdout], [], [], 60)[0], "it printed no address"
        line = process.stdout.readline()
        assert line.startswith("Dashboard: http://127.0.0.1:"), line
        yield process, line.split()[1]
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
        process.stderr.close()


def test_the_dashboard_answers_from_an_empty_folder_and_ends_with_ctrl_c(served, chromium):
    process, url = served
    forged = urllib.request.Request(url, headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(forged)
    assert refusal.value.code == 400
    context = chromium.new_context(color_scheme="light")
    page = context.new_page()
    assert page.goto(f"{url.partition('?')[0]}train").status == 403  # without the token
    page.goto(url)
    policy = page.goto(f"{url.partition('?')[0]}train").headers["content-security-policy"]
    page.wait_for_selector(READY)
    heading = page.get_by_role("heading", name="Train")
    expect(heading).to_be_visible(timeout=15_000)
    style = heading.evaluate(
        "e => [getComputedStyle(e).fontSize, getComputedStyle(document.querySelector("
        "'[data-testid=stApp]')).backgroundColor]"
    )
    assert style == ["17.25px", "rgb(251, 250, 247)"]  # 1.15rem of 15px, as config.toml has it
    assert "frame-ancestors 'none'" in policy
    process.send_signal(signal.SIGINT)  # while the page is open
    assert process.wait(20) == 0
    context.close()
    assert "Traceback" not in process.stderr.read()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=5)
