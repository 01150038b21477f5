"""What all tests share: a workspace of their own, real images where there are some."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from engine.cli import main as command_line
from engine.runs.run import Run
from tests.support.command_line import Engine, Said
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("ours", deadline=None, max_examples=50)  # a busy machine is no defect
settings.load_profile("ours")


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test keeps its runs and caches in a folder of its own, which does not exist yet."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("SECONDLOOK_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real images; a test that needs it is skipped where there is none."""
    folder = Path(os.environ.get("SECONDLOOK_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "dogs-vs-cats" / "train").is_dir():
        pytest.skip(f"no real images in {folder}; set SECONDLOOK_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Yield Debian's Chromium, one for all tests; where there is none, CI fails, a laptop skips."""
    from playwright.sync_api import sync_playwright

    from tests.support.browser import ARGUMENTS, CHROMIUM

    if not CHROMIUM.exists():
        message = f"{CHROMIUM} is missing: install Debian's chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def home(tmp_path: Path, workspace: Path) -> Path:
    """Return the folder that holds this test's workspace."""
    return tmp_path


@pytest.fixture
def make_run(home: Path) -> Callable[..., Run]:
    """Return a function that makes a finished run; see `synthetic_run`."""
    from tests.support.synthetic_runs import synthetic_run

    return lambda **options: synthetic_run(home, **options)


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
