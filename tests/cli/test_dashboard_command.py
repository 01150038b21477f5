"""`dashboard` hands Streamlit the settings of .streamlit/config.toml in every folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engine.cli import dashboard
from engine.errors import UserError
from tests.support.paths import ROOT

FILE = ROOT / ".streamlit" / "config.toml"
PROBE = """
import json, sys
from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.web import bootstrap, cli

given = cli.main_run.make_context("run", ["app.py"], auto_envvar_prefix="STREAMLIT_RUN").params
bootstrap.load_config_options({k: v for k, v in given.items() if k not in ("target", "args")})
theme = CustomThemeConfig()
app_session._populate_theme_msg(theme)
for section in ("light", "dark"):
    app_session._populate_theme_msg(getattr(theme, section), f"theme.{section}")
keys = set(config.get_config_options()) - {"secrets.files"}  # which name the folder
values = {key: config.get_option(key) for key in keys}
print(json.dumps([values, str(theme), app_session._get_show_error_links()]))
"""


def _arrived(folder: Path, environment: dict[str, str]) -> list[Any]:
    """Return every option as Streamlit has it, the theme and a setting it sends to the browser."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("STREAMLIT_")}
    clean["STREAMLIT_SERVER_COOKIE_SECRET"] = "the same"  # else drawn anew
    result = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=folder, env=clean | environment, text=True,
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_every_setting_arrives_as_from_the_file(tmp_path):
    by_file, *sent_by_file = _arrived(ROOT, {})
    ours = dashboard.streamlit_environment(dashboard.settings())
    by_environment, *sent = _arrived(tmp_path, ours)
    assert sent == sent_by_file
    written = tomllib.loads(FILE.read_text("utf-8"))
    assert by_file["theme.light.primaryColor"] == written["theme"]["light"]["primaryColor"]
    assert by_file["runner.postScriptGC"] is False  # a name that Streamlit does not know is dropped
    for key, value in by_file.items():
        if by_environment[key] != value:  # lists and booleans, which an option takes as text
            assert json.loads(by_environment[key]) == value
    nothing, *_ = _arrived(tmp_path, {})
    changed = {key for key in by_file if by_file[key] != nothing[key]}
    assert len(changed) > 25 and changed == {k for k in changed if by_environment[k] != nothing[k]}


def test_a_port_that_is_taken_is_refused_by_name_and_the_next_is_found(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port={port} cannot be used on 127.0.0.1"):
            dashboard.free_port("127.0.0.1", port)
        monkeypatch.setattr(dashboard, "FIRST_PORT", port)
        assert port < dashboard.free_port("127.0.0.1") < port + 100
    assert dashboard.free_port("127.0.0.1", 0) > 0


def test_missing_settings_are_an_error_that_names_the_file(monkeypatch, tmp_path):
    monkeypatch.setattr(dashboard, "APP", tmp_path / "dashboard" / "app.py")
    with pytest.raises(UserError, match=r"config\.toml is missing"):
        dashboard.settings()
