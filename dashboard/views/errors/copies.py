"""Copies the chosen images into class folders, by their given or their corrected labels."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.gallery.tiles import images_of
from dashboard.review.standing import standing, verdicts_of
from dashboard.shared.browser_sync import note_change
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table
from dashboard.shell import show_user_errors
from engine.runs.image_export import ImageCopy, export_images
from engine.runs.predictions import UNKNOWN
from engine.runs.run_list import open_run
from engine.runs.verdicts import BOTH, NEITHER, WRONG

_SAID = "copies_said"


def copies(table: Table, rows: np.ndarray) -> None:
    """Draw the buttons that copy the chosen images."""
    with st.popover("Copy files", icon=":material/folder_copy:"):
        for corrected, label in ((False, "By given label"), (True, "By corrected label")):
            st.button(
                label, key=f"copies_{corrected}", width="stretch", on_click=copy,
                args=(table, rows, corrected),
            )  # fmt: skip
        st.caption("Into a new folder of the run, one subfolder per class; nothing is overwritten.")


def note_copied() -> None:
    """Say where the copies are, after they were made."""
    if said := st.session_state.pop(_SAID, ""):
        st.toast(literal(said), duration="infinite")


def copy(table: Table, rows: np.ndarray, corrected: bool) -> None:
    """Copy the chosen images (callback)."""
    with show_user_errors():
        files, labels = images_of(table, rows), labels_of(table, rows, corrected)
        made = export_images(
            open_run(table.key[0]),
            [ImageCopy(f.path, f.sha256, label) for f, label in zip(files, labels, strict=True)],
        )
        text = f"{made.copied:,} image{'s' * (made.copied != 1)} copied to {made.folder}."
        if made.left_out:
            text += f" {made.left_out:,} left out: missing, or changed since the fit."
        st.session_state[_SAID] = text
    note_change()


def labels_of(table: Table, rows: np.ndarray, corrected: bool) -> list[str]:
    """Return the class folder of each row: its label, or what a verdict says of it."""
    names = table.predictions.class_names
    given = table.predictions.y_true[rows].tolist()
    labels = ["no label" if label == UNKNOWN else names[label] for label in given]
    if not corrected:
        return labels
    for at, verdict in enumerate(verdicts_of(standing(), table, rows)):
        if verdict and verdict.verdict == WRONG:
            labels[at] = verdict.label
        elif verdict and verdict.verdict in (BOTH, NEITHER):
            labels[at] = verdict.verdict
    return labels
