"""The HTML document of every page: Streamlit's, with our title, styles and start script in it.

Styles that came with a page's content would move it after it was drawn.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DASHBOARD = Path(__file__).parents[1]
_CONDITIONS = (b"if-none-match", b"if-modified-since")


@cache
def page_document() -> str:
    """Return the document."""
    given = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    pages = "|".join(sorted(path.parent.name for path in _DASHBOARD.glob("views/*/page.py")))
    styles = (_DASHBOARD / "shared" / "styles.css").read_text("utf-8")
    script = (_DASHBOARD / "shared" / "start.js").read_text("utf-8").replace("PAGES", pages)
    ours = f"<style>\n{styles}</style>\n<script>\n{script}</script>\n</body>"
    skip = '<body>\n    <a class="sl-skip" href="#">Skip to the content</a>'
    titled = given.replace("<title>Streamlit</title>", "<title>Second Look</title>")
    return titled.replace("<body>", skip).replace("</body>", ours)


class OwnDocument:
    """Answers requests for a page with our document."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if scope.get("method") != "GET" or "text/html" not in asked.get("accept", ""):
            await self.app(scope, receive, send)
            return
        replaced = False

        async def own(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 200:
                replaced = (
                    Headers(raw=message["headers"]).get("content-type", "").startswith("text/html")
                )
            if not replaced:
                await send(message)

        # An answer "not modified" would be about Streamlit's document.
        rest = [(name, value) for name, value in scope["headers"] if name not in _CONDITIONS]
        await self.app({**scope, "headers": rest}, receive, own)
        if replaced:
            answer = HTMLResponse(page_document(), headers={"Cache-Control": "no-cache"})
            await answer(scope, receive, send)
