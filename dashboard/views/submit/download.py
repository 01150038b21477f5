"""Sends a file to the browser in response to a click.

The link of `st.download_button` becomes invalid with the next rerun, so that a click right after
another one would fail. Here the click itself creates the file, which is sent until it arrives.
"""

from __future__ import annotations

import secrets

import streamlit as st

from dashboard.shared.component import registered

_KEY, _WAITING = "download", "download_waiting"
_download = registered(__file__, '<div class="download"></div>')


def send_file(name: str, content: bytes) -> None:
    """Queue a UTF-8 file for the browser; `deliver` sends it at the end of the page."""
    token = secrets.token_hex(8)
    st.session_state[_WAITING] = {"token": token, "name": name, "text": content.decode("utf-8")}


def deliver() -> None:
    """Send the queued file, if there is one."""
    _download(key=_KEY, data=st.session_state.get(_WAITING) or {}, on_downloaded_change=_downloaded)


def _downloaded() -> None:
    waiting = st.session_state.get(_WAITING)
    if waiting and st.session_state[_KEY].get("downloaded") == waiting["token"]:
        del st.session_state[_WAITING]
