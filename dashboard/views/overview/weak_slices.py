"""Weak slices on the Overview page, each with a link to its images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.gallery.tiles import images_of
from dashboard.selection import rows as selection_rows
from dashboard.selection import slices
from dashboard.selection.filters import SLICE, TRUE
from dashboard.selection.image_filter import ImageFilter, errors_address
from dashboard.selection.slices import Measuring, Stamps
from dashboard.shared import tables, thumbnails
from dashboard.shared.cache import cached
from dashboard.shared.tables import Key, Table, cached_table
from dashboard.shared.thumbnails import ImageFile
from dashboard.views.overview.slice_table import slice_table
from engine.analysis.slice_text import described
from engine.analysis.slices import Slice
from engine.html_report.charts import places, scale_of

SHOWN, THUMBNAILS = 8, 3
KEY = "slices"


def show(table: Table) -> None:
    """Draw the section when the images have been measured."""
    st.subheader("Weak slices", anchor=False)
    found = slices.find_slices(table)
    if isinstance(found, Measuring):
        _waiting(table)
    elif not found:
        st.caption("There are too few images to form slices.")
    else:
        st.caption(_text(found, slices.sample_text(table)))
        slice_table(*rows(table, found[:SHOWN]), key=KEY)


def rows(table: Table, found: list[Slice]) -> tuple[list[dict[str, Any]], str]:
    """Return the component's rows, each with its highest-loss images, and the end of the scale."""
    most = scale_of(found)
    worst = _worst(table.key, slices.stamp(), tables.data_root(table), found)
    sources = iter(thumbnails.small([file for each in worst for file in each]))
    made = [
        {
            "name": described(one),
            "images": [next(sources) for _ in each],
            "n": f"{one.n:,}",
            "errors": f"{one.error_rate:.1%}",
            "loss": f"{one.log_loss:.4f}",
            "marked": one.stands_out,
            "at": places(one, most),
            "rest": f"versus {one.rest:.4f} for the other images",
            "address": errors_address(_images_of(one)),
        }
        for one, each in zip(found, worst, strict=True)
    ]
    return made, f"{most:g}"


@cached(8)
def _worst(key: Key, stamps: Stamps, root: Path, _found: list[Slice]) -> list[list[ImageFile]]:
    """Return the files of each slice's highest-loss images."""
    table = cached_table(key)
    chosen = [selection_rows.rows(table, _images_of(one))[:THUMBNAILS] for one in _found]
    return [images_of(table, rows) for rows in chosen]


def _images_of(one: Slice) -> ImageFilter:
    return ImageFilter(where={TRUE: one.true or "", SLICE: slices.slice_address(one)})


@st.fragment(run_every=1.0)
def _waiting(table: Table) -> None:
    found = slices.find_slices(table)
    if not isinstance(found, Measuring):
        st.rerun()
    st.progress(
        found.done / max(found.total, 1),
        f"Measuring the images: {found.done:,} of {found.total:,}. You can leave this page.",
    )


def _text(found: list[Slice], sample: str) -> str:
    marked = sum(one.stands_out for one in found)
    many = "none" if not marked else f"{marked:,}"
    are = "are" if marked > 1 else "is"
    return (
        f"Slices by brightness, sharpness, size and other properties: {many} of {len(found):,} "
        f"{are} significant; the weakest are listed. Dot and bar show a slice's log loss with its "
        "95% interval; the tick shows the log loss of the other images. Select a slice to show its "
        "images."
    ) + (f" Measured on {sample}." if sample else "")
