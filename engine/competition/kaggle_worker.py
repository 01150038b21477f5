"""The only module that imports Kaggle's client: it answers one JSON request with one JSON result.

Run it as ``python -m engine.competition.kaggle_worker``. Only the result goes to standard output;
what the client prints goes to standard error. The process stops when its parent process stops, and
at the latest after the request's ``limit`` in seconds, even if the server does not answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import portable

MAX_FILES = 2_000
_PAGE = 200
_LOOKS, _PAUSE = 3, 2.0  # a new submission may appear in the list only after a moment
_FIRST_POLL, _LAST_POLL = 2.0, 15.0


class Failed(Exception):
    """A failure as reported to the parent process: its kind and a text."""

    def __init__(self, kind: str, text: str = "", **more: Any) -> None:
        super().__init__(text)
        self.result = {"ok": False, "kind": kind, "text": text, **more}


def main() -> None:
    """Answer the request on standard input."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        request = json.load(sys.stdin)
        _end_in_time(request.pop("limit"))
        action = _ACTIONS[request.pop("action")]
        try:
            result = {"ok": True, **action(_client(), **request)}
        except Failed as failed:
            result = failed.result
        except Exception as error:
            result = _failure(error).result
        json.dump(result, out)


def _end_in_time(limit: float | None) -> None:
    parent, started = os.getppid(), time.monotonic()

    def watch() -> None:
        while limit is None or time.monotonic() - started <= limit:
            time.sleep(1)
            if portable.parent_has_ended(parent):
                break
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def _client() -> Any:
    """Import the client, which reads the credentials and checks a token with Kaggle."""
    try:
        import kaggle

        api: Any = kaggle.api
        if not getattr(api, "_authenticated", False):
            api.authenticate()  # repeated, since the import hides the reason of a failure
    except ModuleNotFoundError as error:
        raise Failed("not-installed", error.name or "") from error
    except SystemExit as error:
        raise Failed("credentials") from error
    return api


def _files(api: Any, competition: str) -> dict[str, Any]:
    files: list[dict[str, Any]] = []
    token = None
    while len(files) <= MAX_FILES:
        page = api.competition_list_files(competition, page_token=token, page_size=_PAGE)
        files += [{"name": f.name or f.ref, "bytes": int(f.total_bytes)} for f in page.files or []]
        token = page.next_page_token
        if not token:
            break
    return {"files": files}


def _download(api: Any, competition: str, names: list[str], folder: str) -> dict[str, Any]:
    """Download each file into a folder of its own, since the client chooses the name."""
    for index, name in enumerate(names):
        into = Path(folder) / str(index)
        into.mkdir(parents=True)
        api.competition_download_file(competition, name, path=str(into), force=True, quiet=True)
    return {}


def _submit(api: Any, competition: str, file: str, message: str, tag: str) -> dict[str, Any]:
    """Send a file once, unless a submission with this tag exists already."""
    limits = api.competition_get_submission_limits(competition)
    if found := _tagged(api, competition, tag):
        return {**found, "new": False}
    if limits.num_allowed_now <= 0 and (limits.num_today > 0 or limits.limited_by_total):
        raise Failed("total" if limits.limited_by_total else "limit", made=int(limits.num_today))
    try:
        answer = api.competition_submit(file, message, competition, quiet=True)
    except Exception as error:
        failed = _failure(error)
        if 400 <= failed.result.get("status", 0) < 500:
            raise failed from error
    else:
        if answer.ref:
            return {"ref": int(answer.ref), "status": "pending", "new": True}
        failed = Failed("upload", str(answer.message or ""))
    # Kaggle may have accepted the submission although its answer was lost.
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE)
        try:
            found = _tagged(api, competition, tag)
        except Exception:
            continue
        if found:
            return {**found, "new": True}
    raise failed


def _wait(api: Any, competition: str, ref: int, wait: float) -> dict[str, Any]:
    """Request a submission's status until it is scored or the time limit is reached."""
    until, pause = time.monotonic() + wait, _FIRST_POLL
    while True:
        found: dict[str, Any] | None = None
        try:
            found = next((s for s in _submissions(api, competition) if s["ref"] == ref), None)
        except Exception as error:
            failed = _failure(error)
            if failed.result.get("status", 500) < 500 or time.monotonic() + pause > until:
                raise failed from error
        if found and found["status"] != "pending":
            return found
        if time.monotonic() + pause > until:
            return found or {"ref": ref, "status": "pending"}
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_POLL)


def _tagged(api: Any, competition: str, tag: str) -> dict[str, Any] | None:
    """Return the submission with this tag, ignoring submissions that Kaggle could not score."""
    made = [s for s in _submissions(api, competition) if tag in s["description"]]
    return next((s for s in made if s["status"] != "error"), None)


def _submissions(api: Any, competition: str) -> list[dict[str, Any]]:
    listed = api.competition_submissions(competition, page_size=_PAGE)
    return [
        {
            "ref": int(s.ref),
            "status": str(getattr(s.status, "name", s.status)).lower(),
            "score": s.public_score or None,
            "error": s.error_description or None,
            "description": s.description or "",
        }
        for s in listed or []
        if s is not None
    ]


def _failure(error: Exception) -> Failed:
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    response = getattr(error, "response", None)
    if response is not None:  # a 4xx response is falsy, so compare with None
        again = response.headers.get("Retry-After")
        return Failed("http", _message(response), status=response.status_code, again=again)
    broken = isinstance(error, RequestException | HTTPError | ConnectionError | TimeoutError)
    return Failed("connection" if broken else "other", f"{type(error).__name__}: {error}")


def _message(response: Any) -> str:
    """Return the message in Kaggle's answer, or '' if the body is an HTML page."""
    try:
        answer = response.json()
    except ValueError:
        return ""
    return str(answer.get("message") or "") if isinstance(answer, dict) else ""


_ACTIONS: dict[str, Callable[..., dict[str, Any]]]
_ACTIONS = {"files": _files, "download": _download, "submit": _submit, "wait": _wait}

if __name__ == "__main__":
    main()
