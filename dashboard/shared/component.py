"""Registers the dashboard's widgets, each a Python file with a script and a style sheet beside it.

The scripts write text with ``textContent`` only; ``component.js`` contains their shared functions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

_HELPERS = Path(__file__).with_suffix(".js").read_text("utf-8")


def registered(file: str, html: str, *, also: Sequence[str] = (), **constants: Any) -> Any:
    """Return the component of the module ``file``, from the .js and .css of the same name.

    Parameters
    ----------
    also : names of further scripts in the same folder, which come first
    constants : values that the script can use under these names
    """
    path = Path(file)
    css = path.with_suffix(".css")
    given = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in constants.items())
    parts = [
        _HELPERS,
        given,
        *(path.with_name(name).read_text("utf-8") for name in also),
    ]
    return st.components.v2.component(
        f"second_look_{path.stem}",
        html=html,
        css=css.read_text("utf-8") if css.is_file() else ":host { display: block; }",
        js="".join([*parts, path.with_suffix(".js").read_text("utf-8")]),
    )
