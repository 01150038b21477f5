"""The answer to a request for the original file of an image."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import numpy as np
from starlette.responses import PlainTextResponse, Response

from dashboard.gallery.tiles import images_of
from dashboard.shared import tables
from engine.data.formats import Unreadable, sniff
from engine.errors import UserError
from engine.runs.opening import read_file

# What browsers show; everything else is downloaded.
_SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp",
          "BMP": "image/bmp", "AVIF": "image/avif"}  # fmt: skip


def answer(run: str, split: str, image: str) -> Response:
    """Return the file of an image that the run lists, if it is as the run read it."""
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
