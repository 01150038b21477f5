"""A small stand-in for Kaggle on 127.0.0.1, spoken to by the real client through ``http_proxy``."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

TOKEN, USER = "KGAT_0123456789abcdef", "somebody"
COMPETITION = "dogs-vs-cats-redux"


# The client waits up to a minute between attempts; here every wait is short.
HURRY = """
import time
_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(seconds, 0.02))
"""


def without_credentials(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Take every credential away; returns the empty home folder."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name.lower() in ("no_proxy", "http_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


def reach(stand_in: StandIn, shim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client of child processes speak to the stand-in, with a token it knows."""
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(HURRY)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    monkeypatch.setenv("http_proxy", stand_in.proxy)
    monkeypatch.setenv("PYTHONPATH", str(shim))
    monkeypatch.setenv("VERBOSE", "1")  # with it the client prints the token


def zip_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return out.getvalue()


class StandIn:
    """What Kaggle would hold, and how it misbehaves.

    ``faults`` maps the name of a call (``ListDataFiles``, ``upload``, ``file`` ...) to a status
    with a message, or to hang, drop or drop-after (the work is done, the answer is lost).
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {
            "train.zip": zip_of({f"cat.{i}.jpg": bytes([i]) * 4000 for i in range(20)}),
            "test.zip": zip_of({f"{i}.jpg": bytes([i]) * 3000 for i in range(10)}),
            "sample_submission.csv": b"id,label\n1,0.5\n2,0.5\n",
        }
        self.sizes: dict[str, int] = {}
        self.page = 200
        self.faults: dict[str, tuple[int, str] | str] = {}
        self.cut: dict[str, str] = {}  # file: "with length" or "without length"
        self.limits = {"numToday": 1, "numTotal": 4, "numAllowedNow": 4}
        self.submissions: list[dict[str, Any]] = []
        self.polls_to_score, self.outcome = 2, {"status": "COMPLETE", "publicScore": "0.06174"}
        self.uploaded: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.tokens: set[str | None] = set()
        self.stopping = threading.Event()

    def __enter__(self) -> StandIn:
        handler = type("Handler", (_Handler,), {"kaggle": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, call: str, asked: dict[str, Any]) -> dict[str, Any]:
        if call == "IntrospectToken":
            return {"active": asked["token"] == TOKEN, "username": USER}
        assert asked["competitionName"] == COMPETITION
        return getattr(self, f"_{call}")(asked)

    def _ListDataFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked.get("pageToken") or 0)
        names = list(self.files)[start : start + self.page]
        more = start + self.page < len(self.files)
        return {
            "files": [
                {
                    "name": name,
                    "totalBytes": self.sizes.get(name, len(self.files[name])),
                    "creationDate": "2016-09-01T00:00:00Z",
                }
                for name in names
            ],
            **({"nextPageToken": str(start + self.page)} if more else {}),
        }

    def _GetSubmissionLimits(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self.limits

    def _StartSubmissionUpload(self, asked: dict[str, Any]) -> dict[str, Any]:
        token = f"blob{len(self.uploaded)}"
        return {"token": token, "createUrl": f"http://localhost/upload/{token}?upload_id=s3cr3t"}

    def _CreateSubmission(self, asked: dict[str, Any]) -> dict[str, Any]:
        ref = 1000 + len(self.submissions)
        self.submissions.append(
            {
                "ref": ref,
                "date": "2026-03-01T12:00:00.000Z",
                "description": asked["submissionDescription"],
                "content": self.uploaded[asked["blobFileTokens"]],
                "status": "PENDING",
            }
        )
        return {"message": "Successfully submitted", "ref": ref}

    def _ListSubmissions(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.polls_to_score -= bool(self.submissions)
        for made in self.submissions:
            if self.polls_to_score <= 0 and made["status"] == "PENDING":
                made.update(self.outcome)
        shown = [{k: v for k, v in s.items() if k != "content"} for s in self.submissions]
        return {"submissions": shown[::-1]}


class _Handler(BaseHTTPRequestHandler):
    kaggle: StandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        path, body = urlsplit(self.path).path, self._body()
        call = path.rsplit("/", 1)[1]
        self.kaggle.tokens.add(self.headers["Authorization"])
        if call == "DownloadDataFile":
            name = json.loads(body)["fileName"]
            self._guarded(call, lambda: self._redirect(f"http://localhost/blob/{name}?sig=s3cr3t"))
        else:
            self._guarded(call, lambda: self._json(self.kaggle.answer(call, json.loads(body))))

    def do_PUT(self) -> None:
        body = self._body()
        token = urlsplit(self.path).path.rsplit("/", 1)[1]
        self._guarded("upload", lambda: self._store(token, body))

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.removeprefix("/blob/")
        self._guarded("file", lambda: self._file(name))

    def log_message(self, *_: object) -> None:
        pass

    def _guarded(self, call: str, reply: Callable[[], None]) -> None:
        self.kaggle.calls.append(call)
        fault = self.kaggle.faults.get(call)
        if fault == "hang":
            self.kaggle.stopping.wait(60)
        elif fault in ("drop", "drop-after"):
            if fault == "drop-after":
                self.wfile = io.BytesIO()  # type: ignore[assignment]
                reply()
            self.close_connection = True
            self.connection.close()
        elif isinstance(fault, tuple):
            self._json({"code": fault[0], "message": fault[1]}, fault[0])
        else:
            reply()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, value: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(content)

    def _redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _store(self, token: str, content: bytes) -> None:
        self.kaggle.uploaded[token] = content
        self._json({})

    def _file(self, name: str) -> None:
        content, cut = self.kaggle.files[name], self.kaggle.cut.get(name)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Last-Modified", "Thu, 01 Sep 2016 00:00:00 GMT")
        if cut != "without length":
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = True
