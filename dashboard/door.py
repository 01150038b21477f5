"""Who may come in and what they may read: hosts, origins, headers, data folders."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from engine.errors import Refused

ROOTS = "SECONDLOOK_ROOTS"


def guards() -> list[Middleware]:
    """Return what stands before every request, HTTP and websocket alike."""
    hosts = config.get_option("server.allowedHosts") or ["*"]
    return [
        Middleware(SecureHeaders, headers=headers()),
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(SameOrigin, allowed=config.get_option("server.corsAllowedOrigins") or []),
    ]


class SameOrigin:
    """Refuses a request that a page of another origin makes in the person's browser."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self.app, self.allowed = app, set(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            asked = Headers(scope=scope)
            origin = asked.get("origin")
            ours = origin is None or urlsplit(origin).netloc == asked.get("host")
            if not ours and origin not in self.allowed:
                refusal = PlainTextResponse("Another origin is not served.", status_code=403)
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


class SecureHeaders:
    """Adds the headers that keep a page to itself to every answer."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, with_headers)


def headers() -> dict[str, str]:
    """Return the headers: nothing from elsewhere, in no frame, no referrer, no guessed types."""
    policy = {
        "default-src": "'self'",
        # Components of our own are imported from blobs; Plotly compiles a function.
        "script-src": f"'self' blob: {_inline_scripts()}",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _inline_scripts() -> str:
    """Name the scripts within Streamlit's own page by their checksum; no other one runs."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_bytes()
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def check_data(data: Path, pictures: Iterable[str] = (), root: Path | None = None) -> None:
    """Refuse a data folder, or pictures in it, that lie outside ``$SECONDLOOK_ROOTS``.

    The variable lists folders, separated like ``$PATH``; links and ``..`` are followed first.
    Where it is not set, everything that this user can read may be named, which suits a server
    on 127.0.0.1.

    Raises
    ------
    Refused
        When the folder, or the first such picture, lies outside.
    """
    if not (listed := os.environ.get(ROOTS)):
        return
    roots = [os.path.realpath(Path(each).expanduser()) for each in listed.split(os.pathsep) if each]
    if not _within(data, roots):
        raise Refused(f"{data} lies outside the folders that may be read here (${ROOTS}).")
    for picture in pictures:
        if not _within((root or data) / picture, roots):
            raise Refused(
                f"{data} was not read: {picture!r} in it lies outside the folders that may be "
                f"read here (${ROOTS})."
            )


def _within(path: Path, roots: list[str]) -> bool:
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):
        return False
    return any(os.path.commonpath([real, root]) == root for root in roots)
