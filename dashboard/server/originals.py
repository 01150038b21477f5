"""Serves the original file of an image that a run lists, at an address of its own."""

from __future__ import annotations

import asyncio
import hashlib
from urllib.parse import quote

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.gallery.tiles import images_of
from dashboard.shared import tables
from dashboard.shared.original_address import ORIGINALS
from engine.data.formats import Unreadable, sniff
from engine.errors import UserError
from engine.runs.opening import read_file

# What browsers show; everything else is downloaded.
_SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp",
          "BMP": "image/bmp", "AVIF": "image/avif"}  # fmt: skip


class Originals:
    """Answers requests for original files; all other requests go on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != f"/{ORIGINALS}":
            await self.app(scope, receive, send)
            return
        asked = Request(scope).query_params
        names = [asked.get(name, "") for name in ("run", "split", "id")]
        answer = await asyncio.to_thread(_answer, *names)
        await answer(scope, receive, send)


def _answer(run: str, split: str, image: str) -> Response:
    try:
        table = tables.table(run, split)
        row = tables.row_of(table, image)
        file = None if row is None else images_of(table, np.array([row]))[0]
        if file is None or not file.sha256:
            raise UserError(f"run {run} has no image {image!r}.")
        content = read_file(file.path)
        if hashlib.sha256(content).hexdigest() != file.sha256:  # so no run can name a secret file
            raise UserError(f"{file.path} has changed since the run read it.")
        kind = _SHOWN.get(sniff(content), "")
    except (UserError, OSError, Unreadable) as error:
        return PlainTextResponse(f"{error}\n", status_code=404)
    shown = "inline" if kind else "attachment"
    headers = {"Content-Disposition": f"{shown}; filename*=UTF-8''{quote(file.path.name)}"}
    return Response(content, media_type=kind or "application/octet-stream", headers=headers)
