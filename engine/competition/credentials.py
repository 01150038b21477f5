"""Finds the credentials that Kaggle's client would use, and removes them from every text."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

_SHORTEST = 4  # shorter values are not secrets; removing them would damage ordinary text
_PATTERNS = (
    re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"),
    re.compile(r"(?<=\?)[^\s'\")>]+"),  # the query of a signed URL
)


def has_credentials() -> bool:
    """Return whether Kaggle's client would find credentials, without importing the client."""
    return bool(_tokens()) or {"username", "key"} <= _legacy().keys()


def config_folder() -> Path | None:
    """Return the client's configuration folder, or None if the client would have to create it."""
    if chosen := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(chosen)
    xdg = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"
    return next((folder for folder in (_home(), xdg) if folder.is_dir()), None)


def scrub(text: str) -> str:
    """Return the text without any credentials.

    >>> scrub("401 for url https://x/y?sig=abc with Bearer abcdef")
    '401 for url https://x/y?… with …'
    """
    secrets = {*_tokens(), *_legacy().values(), *_oauth().values()}
    secrets |= {os.environ.get("KAGGLE_API_TOKEN", "")}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "…")
    for pattern in _PATTERNS:
        text = pattern.sub("…", text)
    return text


def _home() -> Path:
    return Path.home() / ".kaggle"


def _tokens() -> list[str]:
    """Return the access tokens that the client would try, and the refresh token of its login."""
    given = os.environ.get("KAGGLE_API_TOKEN", "")
    found = [_read(Path(given)) if given and _is_file(Path(given)) else given]
    found += [_read(_home() / name) for name in ("access_token", "access_token.txt")]
    found.append(_oauth().get("refresh_token", ""))
    return [token for token in found if token]


def _oauth() -> dict[str, str]:
    return _strings(_home() / "credentials.json", ("refresh_token", "access_token", "username"))


def _legacy() -> dict[str, str]:
    folder = config_folder()
    kept = _strings(folder / "kaggle.json", ("username", "key")) if folder else {}
    named = {name: os.environ.get(f"KAGGLE_{name.upper()}", "") for name in ("username", "key")}
    return kept | {name: value for name, value in named.items() if value}


def _strings(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    try:
        content = json.loads(_read(path))
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: str(content[name]) for name in names if content.get(name)}


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # not a path: too long, or contains a zero byte
        return False
