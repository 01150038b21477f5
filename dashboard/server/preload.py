"""Imports what the first page needs while the browser loads the document and its scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from threading import Thread
from typing import Any

FIRST = ("dashboard.shell", "dashboard.views.overview.charts", "dashboard.views.overview.data")


@asynccontextmanager
async def preloaded(_app: Any) -> AsyncIterator[None]:
    """Begin to import when the server starts to listen (a lifespan of the app)."""
    Thread(target=_import_all, name="preload", daemon=True).start()
    yield


def _import_all() -> None:
    for name in FIRST:
        import_module(name)
