"""Limits uploads: one image a tab, of limited size, in memory until the page has read it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

MOST_MEGABYTES = 30  # as server.maxUploadSize, which Streamlit enforces while it receives
MOST_UPLOADS = 4  # at once, of all tabs together
_ADDRESS = "/_stcore/upload_file/"
_AROUND = 64 * 1024  # bytes of a form around the file


class LimitedUploads:
    """Refuses uploads that are too large, too many, or not a file that the page asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.arriving = app, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "/_stcore/upload_file" not in scope["path"]:
            await self.app(scope, receive, send)
            return
        status, why = self._refusal(scope)
        if status:
            await PlainTextResponse(f"{why}\n", status_code=status)(scope, receive, send)
            return
        self.arriving += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.arriving -= 1

    def _refusal(self, scope: Scope) -> tuple[int, str]:
        parts = scope["path"].removeprefix(_ADDRESS).split("/")
        if scope["method"] not in ("PUT", "DELETE") or len(parts) != 2:
            return 403, "Only one image that a page asks for can be uploaded."
        if scope["method"] == "DELETE":
            return 0, ""
        size = Headers(scope=scope).get("content-length", "")
        if not (size.isascii() and size.isdigit()):
            return 411, "An upload must state its size."
        if len(size) > 12 or int(size) > MOST_MEGABYTES * 2**20 + _AROUND:
            return 413, f"An image of more than {MOST_MEGABYTES} MB is refused."
        kept = _kept()
        if self.arriving + sum(kept.values()) >= MOST_UPLOADS or kept.get(parts[0]):
            return 429, "Another image is being read; try again in a moment."
        return 0, ""


def forget_uploads() -> None:
    """Delete what this tab has uploaded, once the page has read it."""
    context, manager = get_script_run_ctx(), _manager()
    if context and manager:
        manager.remove_session_files(context.session_id)


def _kept() -> dict[str, int]:
    """Return the number of uploaded files in memory by tab."""
    manager = _manager()
    return (
        {tab: len(files) for tab, files in manager.file_storage.copy().items()} if manager else {}
    )


def _manager() -> MemoryUploadedFileManager | None:
    if not runtime.exists():
        return None
    manager = runtime.get_instance().uploaded_file_mgr
    return manager if isinstance(manager, MemoryUploadedFileManager) else None
