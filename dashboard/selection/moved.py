"""The banner of a run whose images are not where they were: says where, and asks where now."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.shared.browser_sync import note_change
from dashboard.shared.cache import cached
from dashboard.shared.escape import error_text, literal
from dashboard.shared.stamps import Stamp, stamp_of
from engine.data.relocation import moved_from, probed_paths, relocate
from engine.errors import UserError
from engine.runs.run_list import open_run

_FOUND = "relocated"


def moved_banner(name: str) -> None:
    """Show where the images of a run were if they are gone, and a field for their new folder."""
    if found := st.session_state.pop(_FOUND, None):
        text, good = found
        (st.success if good else st.error)(text)
    root = _moved_from(name)
    if root is None:
        return
    st.warning(
        f"The images of this run are not in {literal(str(root))} any more, so they cannot be "
        "shown. The scores are not affected.",
        icon=":material/folder_off:",
    )
    key = f"relocate_{name}"
    with st.container(horizontal=True, vertical_alignment="bottom", key="moved"):
        st.text_input(
            "Folder of the images", key=key, placeholder=str(root), width=480,
            on_change=_relocate, args=(name, key),
            help="Checked by sizes and checksums; also: second-look relocate RUN DIR",
        )  # fmt: skip
        st.button("Use this folder", key="relocate", on_click=_relocate, args=(name, key))


def _relocate(name: str, key: str) -> None:
    note_change()
    folder = str(st.session_state.get(key) or "").strip()
    if not folder:
        return
    try:
        found = relocate(open_run(name), Path(folder))
        st.session_state[_FOUND] = literal(found.sentence), True
    except UserError as error:
        st.session_state[_FOUND] = error_text(error), False


def _moved_from(name: str) -> Path | None:
    try:
        run = open_run(name)
        return moved_from(run, _probed(name, stamp_of(run.folder / "images.parquet")))
    except UserError:  # the page says what is wrong
        return None


@cached(32)
def _probed(name: str, images: Stamp) -> list[str]:
    return probed_paths(open_run(name))
