"""Widgets of our own: what Streamlit's do not do, drawn with textContent only.

Each is a Python function that mounts it beside one script and one style sheet of the same name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st


def registered(name: str, html: str) -> Any:
    """Return the component called ``name``, made from ``name.js``, ``name.css`` and ``html``."""
    here = Path(__file__).parent
    css, js = ((here / f"{name}.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return st.components.v2.component(f"second_look_{name}", html=html, css=css, js=js)
