"""A file that goes to the browser as the answer to a click.

`st.download_button` hands out a link that dies with the next rerun, so a click that comes right
after another one gives nothing; here the click itself makes the file, and it is sent until it came.
"""

from __future__ import annotations

import secrets

import streamlit as st

from dashboard.shared.component import registered

_KEY, _WAITING = "download", "download_waiting"
_download = registered(__file__, '<div class="download"></div>')


def hand_over(name: str, content: bytes) -> None:
    """Send a UTF-8 file to the browser under a name; `deliver` does so at the end of the page."""
    token = secrets.token_hex(8)
    st.session_state[_WAITING] = {"token": token, "name": name, "text": content.decode("utf-8")}


def deliver() -> None:
    """Send what waits to be sent, if anything does."""
    _download(key=_KEY, data=st.session_state.get(_WAITING) or {}, on_downloaded_change=_downloaded)


def _downloaded() -> None:
    waiting = st.session_state.get(_WAITING)
    if waiting and st.session_state[_KEY].get("downloaded") == waiting["token"]:
        del st.session_state[_WAITING]
