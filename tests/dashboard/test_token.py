"""The page answers only who brings its token, in the address or as a cookie."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.types import Receive, Scope, Send

from dashboard.server import uploads
from dashboard.server.token import TokenGate, page_token
from dashboard.server.uploads import MOST_MEGABYTES, LimitedUploads
from engine.errors import UserError
from engine.runs.page_token import ONCE, TOKEN

SECRET, SERVES_ONCE = "a-token-of-the-page-0123", "a-token-that-serves-once"


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request, as the page does once somebody is in."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


@dataclass
class Browser:
    """Sends requests to the gate, and keeps the cookie that it is given."""

    app: Any
    cookie: str = ""

    def ask(
        self, address: str, method: str = "GET", kind: str = "http", size: str | None = None
    ) -> dict[str, Any]:
        path, _, query = address.partition("?")
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": kind, "method": method, "path": unquote(path), "query_string": query.encode(),
            "headers": [(b"cookie", self.cookie.encode())] if self.cookie else [],
        }  # fmt: skip
        if size is not None:
            scope["headers"].append((b"content-length", size.encode()))
        with ThreadPoolExecutor(1) as thread:  # Playwright's loop runs in this one
            thread.submit(lambda: asyncio.run(self.app(scope, None, send))).result()
        answer = {key.decode(): value.decode() for key, value in sent[0].get("headers", [])}
        if "set-cookie" in answer:
            self.cookie = SimpleCookie(answer["set-cookie"]).output(attrs=[], header="").strip()
        body = b"".join(message.get("body", b"") for message in sent)
        return {**answer, "status": sent[0].get("status"), "kind": sent[0]["type"], "body": body}


def browser(token: str = SECRET) -> Browser:
    return Browser(TokenGate(LimitedUploads(page), token=token))


PATHS = ["/", "/errors?run=x", "/media/a.jpg", "/_stcore/health", "/_stcore/host-config",
         "/_stcore/upload_file/a/b", "/static/x.js", "/?token=", "/?token=wrong"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cookie", ["", "second-look-8501=wrong", "second-look-8501=", ";;=\xff"])
def test_without_the_token_nothing_answers(path: str, cookie: str) -> None:
    asking = browser()
    asking.cookie = cookie
    answer = asking.ask(path)
    assert answer["status"] == 403 and b"second-look dashboard" in answer["body"]
    assert "set-cookie" not in answer
    assert asking.ask("/_stcore/stream", kind="websocket")["kind"] == "websocket.close"


def test_the_token_of_the_address_becomes_a_cookie_and_leaves_the_address() -> None:
    asking = browser()
    welcome = asking.ask(f"/errors?run=a%20b&token={SECRET}&page=2")
    assert welcome["status"] == 303 and welcome["location"] == "/errors?run=a+b&page=2"
    cookie = welcome["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert asking.ask("/errors")["body"] == b"the page"
    assert asking.ask("/_stcore/stream", kind="websocket")["kind"] == "websocket.accept"


@pytest.mark.parametrize("path", ["//evil.invalid/x", "/%5Cevil.invalid", "/%2F%5Cevil.invalid/"])
def test_the_token_sends_nobody_elsewhere(path: str) -> None:
    location = browser().ask(f"{path}?token={SECRET}")["location"]
    assert location.startswith("/") and location[1] not in "/\\"


def test_the_address_that_a_browser_was_opened_with_serves_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ONCE, SERVES_ONCE)
    asking = browser()
    assert asking.ask(f"/?token={SERVES_ONCE}")["status"] == 303
    assert asking.ask("/")["body"] == b"the page"
    asking.cookie = ""
    assert asking.ask(f"/?token={SERVES_ONCE}")["status"] == 403


UPLOAD = "/_stcore/upload_file/tab/file"


@pytest.mark.parametrize(
    ("path", "method", "size", "status"),
    [
        (UPLOAD, "POST", "9", 403), (UPLOAD, "OPTIONS", None, 403), (UPLOAD, "GET", None, 403),
        ("/x/_stcore/upload_file/tab/file", "PUT", "9", 403), (f"{UPLOAD}/more", "PUT", "9", 403),
        ("/_stcore/upload_file", "PUT", "9", 403), (UPLOAD, "PUT", None, 411),
        (UPLOAD, "PUT", "-1", 411), (UPLOAD, "PUT", "1e3", 411), (UPLOAD, "PUT", "9" * 40, 413),
        (UPLOAD, "PUT", str(MOST_MEGABYTES * 2**20 + 2**17), 413),
        (UPLOAD, "PUT", str(MOST_MEGABYTES * 2**20), 200), (UPLOAD, "DELETE", None, 200),
    ],
)  # fmt: skip
def test_only_an_image_of_limited_size_may_be_uploaded(
    path: str, method: str, size: str | None, status: int
) -> None:
    assert browser("").ask(path, method, size=size)["status"] == status


@pytest.mark.parametrize(
    ("kept", "status"),
    [({}, 200), ({"other": 1}, 200), ({"tab": 1}, 429), ({"a": 1, "b": 1, "c": 2}, 429)],
)
def test_a_tab_has_one_upload_in_memory_and_all_tabs_four(
    monkeypatch: pytest.MonkeyPatch, kept: dict[str, int], status: int
) -> None:
    monkeypatch.setattr(uploads, "_kept", lambda: kept)
    assert browser("").ask(UPLOAD, "PUT", size="9")["status"] == status


def test_what_started_the_page_decides_on_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert page_token() == ""  # `streamlit run`
    for given, token in ((SECRET, SECRET), ("none", ""), ("", "")):
        monkeypatch.setenv(TOKEN, given)
        assert page_token() == token
    for given in ("short", "sixteen letters with spaces", "a" * 15):
        monkeypatch.setenv(TOKEN, given)
        with pytest.raises(UserError, match="at least 16"):
            page_token()
