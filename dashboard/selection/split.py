"""The selected images: validation, all labelled ones out of fold, or test images."""

from __future__ import annotations

import streamlit as st

from dashboard.selection.run import RUN, run_name
from dashboard.shared import tables
from dashboard.shared.browser_sync import note_change, set_widget, widget_key
from dashboard.shared.cache import cached
from dashboard.shared.escape import literal
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Table
from engine.errors import UserError
from engine.runs.images_table import read_images
from engine.runs.opening import is_file
from engine.runs.run import Run
from engine.runs.run_list import open_run
from engine.runs.training_images import TRAINING

SPLIT, _WIDGET = "on", "split_picker"
_SELECTED = "selected_split"
_TITLES = {
    "valid": "Validation",
    "folds": "All labelled (cross-validated)",
    "test": "Labelled test images",
    "train": "Training images",
}
_UNLABELLED_TEST = "Test images"
_ORDER = list(_TITLES)
NO_TEST, LABELLED_TEST, ANY_TEST = "none", "labelled", "any"  # images without label to offer


def selected_table(name: str, test: str = NO_TEST) -> Table:
    """Return the selected predictions; see `splits_of`."""
    return tables.table(name, selected_split(splits_of(name, test)))


def splits_of(name: str, test: str) -> list[str]:
    """Return the splits of a run that can be selected, the default first.

    Parameters
    ----------
    test : whether test images are among them: ``NO_TEST``, ``LABELLED_TEST`` or ``ANY_TEST``,
        which offers the training images too where they have no held-out prediction
    """
    run = open_run(name)
    largest = run.labelled_split
    found = [largest] if largest == "valid" else [largest, "valid"]
    offered = test == ANY_TEST and is_file(run.predictions_path("test"))
    if offered or (test == LABELLED_TEST and tables.test_is_labelled(name)):
        found.append("test")
    if test == ANY_TEST and largest == "valid" and _training_images(run):
        found.append(TRAINING)
    return found


def shown_as(name: str, image: str) -> str:
    """Return which images show a labelled one, as `standing_parameters` names them."""
    if tables.row_of(tables.table(name, open_run(name).labelled_split), image) is not None:
        return ""
    training = training_table(name)
    return "" if training is None or tables.row_of(training, image) is None else TRAINING


def training_table(name: str) -> Table | None:
    """Return the training images of a run that has no held-out prediction of them, or None."""
    return tables.table(name, TRAINING) if TRAINING in splits_of(name, ANY_TEST) else None


def selected_split(splits: list[str]) -> str:
    """Return the selected split, and set the switch to it.

    The first is the default; the address or this session may select another.
    """
    asked = st.query_params.get(SPLIT)
    if asked and asked not in _TITLES:
        st.warning(
            f"{SPLIT}={literal(asked[:100])} in the address is not used: choose from "
            f"{', '.join(_TITLES)}.",
            icon=":material/link_off:",
        )
    if len(splits) == 1:
        _write(splits[0], splits[0])
        return splits[0]
    selected: str = asked or st.session_state.get(_SELECTED, splits[0])
    if selected not in splits:
        selected = splits[0]
    st.session_state[_SELECTED] = selected
    set_widget(_WIDGET, selected)
    _write(selected, splits[0])
    return selected


def switch(name: str, test: str = NO_TEST) -> None:
    """Show a switch between the splits of a run if there are several; see `splits_of`."""
    splits = splits_of(name, test)
    if len(splits) == 1:
        return
    names = dict(_TITLES)
    if not tables.test_is_labelled(name):
        names["test"] = _UNLABELLED_TEST
    counts = {split: len(tables.table(name, split)) for split in sorted(splits, key=_ORDER.index)}
    titles = {split: f"{names[split]} ({n:,})" for split, n in counts.items()}
    st.segmented_control(
        "Split", list(titles), format_func=titles.__getitem__, required=True,
        key=widget_key(_WIDGET), on_change=_switched, args=(splits[0],),
        label_visibility="collapsed",
    )  # fmt: skip


def forget_split() -> None:
    """Select the default split, unless the address names another."""
    st.session_state.pop(_SELECTED, None)


def standing_parameters(to: str | None = None) -> dict[str, str]:
    """Return the parameters of every address: the run, and the split unless it is the default.

    Parameters
    ----------
    to : "test", "train", "" for the labelled images with predictions, None for the selected split
    """
    selected = st.query_params.get(SPLIT)
    if to is not None and to != (selected if selected in ("test", TRAINING) else ""):
        selected = to or None
        forget_split()
    return {RUN: run_name() or "", **({SPLIT: selected} if selected else {})}


def _training_images(run: Run) -> int:
    """Return the number of training images that a run lists; none in a damaged table."""
    try:
        return _count_training(run.name, stamp_of(run.folder / "images.parquet"))
    except UserError:  # what needs the table says so
        return 0


@cached(32)
def _count_training(name: str, stamp: Stamp) -> int:
    return len(read_images(open_run(name).folder / "images.parquet", ["split"], splits=["train"]))


def _switched(default: str) -> None:
    selected = st.session_state[_SELECTED] = st.session_state[widget_key(_WIDGET)]
    note_change()
    for name in ("page", "picture", "image"):
        st.query_params.pop(name, None)
    _write(selected, default)


def _write(selected: str, default: str) -> None:
    """Write the split to the address; the default is omitted."""
    if selected != default and st.query_params.get(SPLIT) != selected:
        st.query_params[SPLIT] = selected
    elif selected == default and SPLIT in st.query_params:
        del st.query_params[SPLIT]
