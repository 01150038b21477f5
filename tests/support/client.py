"""A browser's websocket without the browser: opens pages, clicks, and collects what it is sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

FINISHED = (
    ForwardMsg.FINISHED_SUCCESSFULLY,
    ForwardMsg.FINISHED_EARLY_FOR_RERUN,
    ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
)


class Session:
    """One tab: a websocket to a running dashboard."""

    def __init__(self, url: str, **headers: str) -> None:
        origin: Any = headers.pop("Origin", url.rstrip("/"))
        self._closing = ExitStack()
        self.socket = self._closing.enter_context(
            connect(
                f"ws://{urlsplit(url).netloc}/_stcore/stream", origin=origin, max_size=None,
                subprotocols=["streamlit"], open_timeout=30, additional_headers=headers,  # type: ignore[list-item]
            )
        )  # fmt: skip

    def open(self, page: str, query: Mapping[str, str] | None = None, limit: float = 60) -> str:
        """Go to a page; return every text that it sent, once its script has ended.

        Raises
        ------
        AssertionError
            When the script fails, or does not end in time.
        """
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.query_string = urlencode(query or {})
        self.socket.send(message.SerializeToString())
        deadline, said = time.monotonic() + limit, []
        while (left := deadline - time.monotonic()) > 0:
            got = ForwardMsg.FromString(self.socket.recv(left))  # type: ignore[arg-type]
            kind = got.WhichOneof("type")
            if kind == "delta":
                element = got.delta.new_element
                assert element.WhichOneof("type") != "exception", element.exception
                said.append(str(element))
            elif kind == "page_info_changed":
                said.append(got.page_info_changed.query_string)
            elif kind == "script_finished" and got.script_finished in FINISHED:
                if got.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return "\n".join(said)
        raise AssertionError(f"{page} did not end within {limit} s")

    def close(self) -> None:
        self._closing.close()
