"""`dashboard`: serve the dashboard from any folder, with the project's Streamlit settings."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.errors import UserError
from engine.runs.page_token import ONCE, TOKEN, chosen_token

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
FIRST_PORT = 8501
_PORTS = 100
_STOP_SECONDS = 10.0


def dashboard(
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port; by default the first free one from 8501; 0 for any."
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the dashboard in a browser.")
    ] = True,
    token: Annotated[
        bool,
        typer.Option("--token/--no-token", help="Answer only with the token of the address."),
    ] = True,
) -> None:
    """Serve the dashboard for the current folder's workspace until Ctrl+C is pressed.

    The page opens only with the token in the address that is printed, so that other accounts of
    this machine cannot open it. SECONDLOOK_TOKEN sets the token; the value none switches it off.

    The settings come from .streamlit/config.toml; environment variables such as
    STREAMLIT_SERVER_ALLOWED_HOSTS take precedence.
    """
    import webbrowser  # a tenth of the time of `--help`

    environment = {**streamlit_environment(settings()), **os.environ}
    address = environment["STREAMLIT_SERVER_ADDRESS"]
    port = free_port(address, port)
    host = "127.0.0.1" if address in ("0.0.0.0", "::") else address
    # Without -P, a folder `engine` or `dashboard` in the current folder would be imported.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    environment["STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE"] = "true"
    environment[TOKEN] = chosen_token(environment.get(TOKEN) or secrets.token_urlsafe(24))
    if not token:
        environment[TOKEN] = ""
    environment[ONCE] = secrets.token_urlsafe(24)
    server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        if _wait_until_ready(server, host, port):
            url, given = f"http://{host}:{port}", environment[TOKEN]
            address = f"{url}/?token={given}" if given else url
            print(f"Dashboard: {address} (press Ctrl+C to stop)", flush=True)
            if browser and _has_display():
                # Other accounts see the address among the processes: this token serves once.
                webbrowser.open(f"{url}/?token={environment[ONCE]}" if given else url)
        code = server.wait()
    except KeyboardInterrupt:
        _stop(server)
        return
    if code > 0:
        raise UserError(
            f"the dashboard ended with exit code {code}; see Streamlit's message above."
        )


def settings() -> dict[str, Any]:
    """Return the Streamlit settings, from the checkout or from the copy in the wheel.

    Raises
    ------
    UserError
        If the file is missing.
    """
    for folder in (APP.parent, APP.parents[1]):
        with suppress(FileNotFoundError):
            return tomllib.loads((folder / ".streamlit" / "config.toml").read_text("utf-8"))
    raise UserError(
        f"{APP.parents[1] / '.streamlit/config.toml'} is missing; install Second Look again."
    )


def streamlit_environment(values: dict[str, Any]) -> dict[str, str]:
    """Return settings as the environment variables that Streamlit reads.

    Streamlit looks for its settings file in the current folder, so without this the settings
    would depend on that folder.
    """
    return {
        "STREAMLIT_" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", "_".join(keys)).upper(): _text(
            keys, value
        )
        for keys, value in _leaves(values)
    }


def _leaves(table: dict[str, Any], *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, *above, key)
        else:
            yield (*above, key), value


def _text(keys: tuple[str, ...], value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and keys[0] != "theme":
        return " ".join(map(str, value))
    return json.dumps(value)  # Streamlit reads lists in a theme as JSON


def free_port(address: str, port: int | None = None) -> int:
    """Return a free port: the given one, or the first free one from 8501.

    Raises
    ------
    UserError
        If the port is in use.
    """
    for candidate in range(FIRST_PORT, FIRST_PORT + _PORTS) if port is None else (port,):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with suppress(OSError), socket.create_server((address, candidate), family=family) as taken:
            return int(taken.getsockname()[1])
    if port is None:
        raise UserError(
            f"no port from {FIRST_PORT} to {FIRST_PORT + _PORTS - 1} is free; name one with --port."
        )
    raise UserError(f"cannot be used on {address}; choose another port.", option="port", value=port)


def _wait_until_ready(server: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Wait until the dashboard answers; return False if the server stopped first."""
    from http.client import HTTPConnection, HTTPException  # another tenth

    while server.poll() is None:
        with suppress(OSError, HTTPException):
            connection = HTTPConnection(host, port, timeout=5)
            try:
                connection.request("GET", "/_stcore/health")
                connection.getresponse()
                return True
            finally:
                connection.close()
        time.sleep(0.1)
    return False


def _has_display() -> bool:
    """Return whether a graphical browser can open, rather than one in the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server, unless Ctrl+C did so already, and wait until it has stopped."""
    server.terminate()
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
