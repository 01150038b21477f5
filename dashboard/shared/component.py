"""Registers the dashboard's own widgets: one Python file with a script and a style sheet beside it.

Each draws with ``textContent`` only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st


def registered(file: str, html: str) -> Any:
    """Return the component of the module ``file``, from the .js and .css of the same name."""
    path = Path(file)
    css, js = (path.with_suffix(kind).read_text("utf-8") for kind in (".css", ".js"))
    return st.components.v2.component(f"second_look_{path.stem}", html=html, css=css, js=js)
