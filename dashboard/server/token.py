"""The token without which the page answers nobody: asked for once, then kept in a cookie."""

from __future__ import annotations

import hmac
import os
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import config

from engine.runs.page_token import ONCE, TOKEN, chosen_token

_NEEDED = (
    "This page needs the token of the address that `second-look dashboard` printed; open that "
    "address.\n"
)


def page_token() -> str:
    """Return the token that the page wants, '' for none: what started it decides."""
    return chosen_token(os.environ.get(TOKEN, ""))


class TokenGate:
    """Lets in who brings the token, in the address or as a cookie, by HTTP and websocket."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token
        self.once = os.environ.get(ONCE, "")  # for the browser that was opened, whose address
        self.cookie = f"second-look-{config.get_option('server.port')}"  # other accounts see

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.token or scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        if scope["type"] == "http" and self._brings(asked.query_params.get("token", "")):
            await self._welcome(scope)(scope, receive, send)
        elif _same(asked.cookies.get(self.cookie, ""), self.token):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(_NEEDED, status_code=403)(scope, receive, send)

    def _brings(self, given: str) -> bool:
        if self.once and _same(given, self.once):
            self.once = ""
            return True
        return _same(given, self.token)

    def _welcome(self, scope: Scope) -> Response:
        """Send the browser to the same page without the token, which the cookie now holds."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        rest = urlencode([(key, value) for key, value in query if key != "token"])
        path = "/" + quote(scope["path"].lstrip("/\\"))
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, status_code=303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="lax")
        return answer


def _same(given: str, token: str) -> bool:
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())
