"""Access control: allowed hosts and origins, and response headers."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from dashboard.server.document import OwnDocument, page_document
from dashboard.server.originals import Originals
from dashboard.server.token import TokenGate, page_token
from dashboard.server.uploads import LimitedUploads


def guards() -> list[Middleware]:
    """Return the middleware that checks every request, HTTP and websocket."""
    hosts = config.get_option("server.allowedHosts") or ["*"]
    return [
        Middleware(SecureHeaders, headers=headers()),
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(SameOrigin, allowed=config.get_option("server.corsAllowedOrigins") or []),
        Middleware(TokenGate, token=page_token()),
        Middleware(LimitedUploads),
        Middleware(Originals),
        Middleware(OwnDocument),
    ]


class SameOrigin:
    """Rejects requests that a page of another origin sends from the user's browser."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self.app, self.allowed = app, set(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            asked = Headers(scope=scope)
            origin = asked.get("origin")
            ours = origin is None or urlsplit(origin).netloc == asked.get("host")
            if not ours and origin not in self.allowed:
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": 1008})
                    return
                refusal = PlainTextResponse(
                    "Requests from other origins are refused.", status_code=403
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


class SecureHeaders:
    """Adds security headers to every response."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, with_headers)


def headers() -> dict[str, str]:
    """Return the headers: no foreign content, no frames, no referrer, no type guessing."""
    policy = {
        "default-src": "'self'",
        # The scripts of our components are loaded from blobs.
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
    """Return the checksums of the scripts in the document; no other inline script may run."""
    scripts = re.findall(r"<script>(.*?)</script>", page_document(), re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
