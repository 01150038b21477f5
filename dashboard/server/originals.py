"""Serves the original file of an image that a run lists, at an address of its own."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.shared.original_address import ORIGINALS


class Originals:
    """Answers requests for original files; all other requests go on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != f"/{ORIGINALS}":
            await self.app(scope, receive, send)
            return
        from dashboard.server import original_file  # with pandas: the server listens sooner

        asked = Request(scope).query_params
        names = [asked.get(name, "") for name in ("run", "split", "id")]
        answer = await asyncio.to_thread(original_file.answer, *names)
        await answer(scope, receive, send)
