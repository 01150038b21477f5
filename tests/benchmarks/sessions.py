"""Many sessions at once: what a browser sent for a click, replayed over bare websockets."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Browser
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from tests.support.browser import READY, category

_NAMES = ("Most uncertain", "Random incorrect", "Random correct", "All")
_BETWEEN = 2.0  # seconds between two clicks of one session


@dataclass(frozen=True)
class Recorded:
    """What a browser sent: the first message of its session, and one for each click."""

    url: str
    first: bytes
    clicks: list[bytes]


def recorded(browser: Browser, url: str) -> Recorded:
    """Open Errors, switch through categories and pages, and return what was sent."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page, sent = context.new_page(), []
    page.on("websocket", lambda ws: ws.on("framesent", lambda payload: sent.append(payload)))
    page.goto(f"{url}/errors?show=all")
    page.wait_for_selector(".st-key-gallery .tile")
    page.wait_for_selector(READY)
    page.wait_for_timeout(500)
    at = len(sent)
    for name in _NAMES:
        category(page, name).click()
        page.wait_for_timeout(700)
        page.get_by_role("button", name="Next page →").click()
        page.wait_for_timeout(700)
    context.close()
    asks = [(i, payload) for i, payload in enumerate(sent) if _asks(payload)]
    return Recorded(
        url.replace("http", "ws") + "/_stcore/stream",
        asks[0][1],
        [payload for i, payload in asks if i >= at],
    )


def click_alone(asked: Recorded, times: int) -> list[float]:
    """Return milliseconds of each click of a single session."""
    with _Session(asked) as session:
        return [session.click(turn, pause=0.15) for turn in range(times)]


def click_together(
    asked: Recorded, sessions: int, times: int, memory: Callable[[], int]
) -> tuple[list[float], int]:
    """Return milliseconds of each click of sessions that click together, and what they take."""
    taken: list[list[float]] = [[] for _ in range(sessions)]
    opened = [_Session(asked) for _ in range(sessions)]

    def act(who: int) -> None:
        chance = random.Random(who)
        time.sleep(chance.uniform(0, _BETWEEN))
        for turn in range(times):
            begun = time.perf_counter()
            taken[who].append(opened[who].click(who + turn))
            rest = begun + _BETWEEN * chance.uniform(0.5, 1.5) - time.perf_counter()
            time.sleep(max(rest, 0))

    threads = [threading.Thread(target=act, args=(who,)) for who in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = memory()
    for session in opened:
        session.socket.close()
    return [milliseconds for some in taken for milliseconds in some], held


class _Session:
    """A session of its own on the Errors page."""

    def __init__(self, asked: Recorded) -> None:
        self.asked = asked
        self.socket: ClientConnection = connect(
            asked.url, subprotocols=["streamlit"], max_size=None, compression=None
        )
        self._ask(asked.first)

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def click(self, turn: int, pause: float = 0) -> float:
        time.sleep(pause)
        return self._ask(self.asked.clicks[turn % len(self.asked.clicks)])

    def _ask(self, message: bytes) -> float:
        begun = time.perf_counter()
        self.socket.send(message)
        while True:
            answer = self.socket.recv(30)
            taken = 1000 * (time.perf_counter() - begun)
            assert isinstance(answer, bytes)
            # A page of images is long, and the message that ends a run is short.
            if len(answer) < 200 and _ends(answer):
                return taken


def _asks(payload: str | bytes) -> bool:
    """Return whether a message is of a person, not the browser's own for a page in advance."""
    if not isinstance(payload, bytes) or b'"want"' in payload:
        return False
    return BackMsg.FromString(payload).HasField("rerun_script")


def _ends(answer: bytes) -> bool:
    message = ForwardMsg.FromString(answer)
    if message.WhichOneof("type") == "delta":
        assert message.delta.new_element.WhichOneof("type") != "exception"
    return message.WhichOneof("type") == "script_finished"
