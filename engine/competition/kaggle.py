"""Calls Kaggle's official client in a child process with a time limit.

Only :mod:`engine.competition.kaggle_worker`, which runs as that child, imports the client.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine import portable
from engine.competition.credentials import config_folder, has_credentials, scrub
from engine.errors import UserError

__all__ = ["NO_CREDENTIALS", "NOT_INSTALLED", "ask", "competition_name", "has_credentials"]

NOT_INSTALLED = (
    "The Kaggle client is not installed{why}; install it with: "
    'python -m pip install "kaggle~=2.2.4" six'
)
NO_CREDENTIALS = (
    "No Kaggle credentials were found; create a token at https://www.kaggle.com/settings/api and "
    "save it as ~/.kaggle/access_token, or set KAGGLE_API_TOKEN."
)

_ROOT = Path(__file__).resolve().parents[2]
_POLL = 0.2
_GRACE = 5.0  # seconds after which a worker that was not stopped stops itself
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?kaggle\.com/(?:competitions|c)/([^/?#]+).*")
_LIMIT = re.compile(r"\b(limit|maximum|per day|daily|remaining|allowance|quota)", re.IGNORECASE)
_RULES = re.compile(r"\b(rules?|accept)\b", re.IGNORECASE)
_TWICE = " Start it again later: it looks for this submission first and sends nothing twice."


def competition_name(text: str) -> str:
    """Return a competition's name, given its name or its address.

    >>> competition_name("https://www.kaggle.com/competitions/dogs-vs-cats/data")
    'dogs-vs-cats'

    Raises
    ------
    UserError
        If the text is neither.
    """
    address = _ADDRESS.fullmatch(text.strip())
    name = address[1] if address else text.strip()
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{text!r} is not the name of a competition; use the last part of its address, as in "
            "https://www.kaggle.com/competitions/NAME."
        )
    return name


def ask(
    action: str,
    competition: str,
    *,
    seconds: float,
    arrived: Callable[[], int] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Send one request to the worker and return its answer.

    Parameters
    ----------
    action
        files, download, submit or wait.
    seconds
        Time limit; with ``arrived``, the longest time without new data.
    arrived
        Returns the number of bytes received so far; called a few times a second.

    Raises
    ------
    UserError
        If the request fails. The message says what to do and contains no credentials.
    """
    if not has_credentials():
        raise UserError(NO_CREDENTIALS)
    limit = None if arrived else seconds + _GRACE
    request = {"action": action, "competition": competition, "limit": limit, **fields}
    with tempfile.TemporaryDirectory(prefix="second-look-") as spare:
        output = _run(json.dumps(request), spare, seconds, arrived)
    if output is None:
        raise UserError(_too_late(action, seconds, arrived is not None))
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        answer = {"ok": False, "kind": "other", "text": "it ended without an answer"}
    if not answer.pop("ok"):
        raise UserError(_sentence(action, competition, answer))
    return answer


def _run(request: str, spare: str, seconds: float, arrived: Callable[[], int] | None) -> str | None:
    """Return the worker's output, or None if it took too long."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VERBOSE", "VERBOSE_OUTPUT")}
    if config_folder() is None:  # otherwise the client creates one in the home folder
        environment["KAGGLE_CONFIG_DIR"] = spare
    child = subprocess.Popen(
        [sys.executable, "-m", "engine.competition.kaggle_worker"],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        **portable.own_session(),
    )
    given: str | None = request
    deadline, bytes_before = time.monotonic() + seconds, -1
    try:
        while True:
            try:
                return child.communicate(given, timeout=_POLL)[0]
            except subprocess.TimeoutExpired:
                given = None
            if arrived and (now := arrived()) != bytes_before:
                deadline, bytes_before = time.monotonic() + seconds, now
            if time.monotonic() > deadline:
                return None
    finally:
        if child.poll() is None:
            portable.kill_session(child)
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()


def _too_late(action: str, seconds: float, bytes_count: bool) -> str:
    problem = "sent nothing" if bytes_count else "did not answer"
    failure = f"Kaggle {problem} for {seconds:g} seconds, so the request was stopped"
    if action == "submit":
        return f"{failure}; the submission may have arrived.{_TWICE}"
    return f"{failure}; check the network and start it again."


def _sentence(action: str, competition: str, answer: dict[str, Any]) -> str:
    text = " ".join(scrub(str(answer.get("text") or "")).split())[:200]
    kind, status = answer.get("kind"), answer.get("status")
    details = f" ({text})" if text else ""
    if kind == "http":
        return _http(action, competition, int(status or 0), text, answer.get("again"))
    if kind == "not-installed":
        return NOT_INSTALLED.format(why=f": {text} is missing" if text else "")
    if kind == "credentials":
        return _refused_credentials()
    if kind in ("limit", "total"):
        return _no_more(competition, kind == "total", "")
    if kind == "upload":
        return f"Kaggle did not accept the file{details}; nothing was submitted, so start it again."
    if kind == "connection":
        again = _TWICE if action == "submit" else " Check the network and start it again."
        return f"The connection to Kaggle failed{details}.{again}"
    return f"Kaggle's client failed{details}; no file was changed, so start it again."


def _http(action: str, competition: str, status: int, text: str, again: Any) -> str:
    page = f"https://www.kaggle.com/competitions/{competition}"
    details = f": {text}" if text else ""
    if status == 401:
        return _refused_credentials()
    if status in (400, 403) and action == "submit" and _LIMIT.search(text):
        return _no_more(competition, False, details)
    if status == 403 and _RULES.search(text):
        return f"accept the rules of {competition} at {page}/rules, then start it again."
    if status == 403:
        return (
            f"Kaggle denies access to {competition} (403{details}); check its name, and join it "
            f"at {page}."
        )
    if status == 404:
        return f"Kaggle has no competition {competition!r} (404); copy the name from its address."
    if status == 429:
        waiting = f"{again} seconds" if str(again or "").isdigit() else "some minutes"
        return f"Kaggle received too many requests (429); wait {waiting} and start it again."
    if status >= 500:
        twice = _TWICE if action == "submit" else " Start it again in a few minutes."
        return f"Kaggle has an internal error ({status}{details}).{twice}"
    return f"Kaggle refused ({status}{details}); see {page} for the reason."


def _refused_credentials() -> str:
    return (
        "Kaggle does not accept your credentials (401); create a new token at "
        "https://www.kaggle.com/settings/api and save it in place of the old one."
    )


def _no_more(competition: str, for_good: bool, details: str) -> str:
    if for_good:
        return f"you have reached the total number of submissions for {competition}."
    return (
        f"you have reached today's number of submissions for {competition}{details}; try again "
        "after midnight UTC."
    )
