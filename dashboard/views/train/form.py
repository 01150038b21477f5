"""The form with the options of a fit; rarely used options are in an expander."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.escape import literal, one_line
from dashboard.views.train.data import DatasetPreview
from dashboard.views.train.weights_files import ENDINGS, weights_files
from engine.runs.fit_defaults import ALL_EPOCHS, ALL_LR
from engine.runs.fit_option import FitOption
from engine.runs.fit_options import FIT_OPTIONS
from engine.runs.network_names import backbone_names

BACKBONES = {
    "vgg16": "large, the default",
    "resnet18": "small and fast",
    "resnet50": "medium",
    "mobilenet_v2": "small, for slow machines",
    "mobilenet_v3_large": "small, for slow machines",
    "efficientnet_b0": "small and accurate",
    "efficientnet_v2_s": "medium and accurate",
    "convnext_tiny": "medium and accurate",
    "squeezenet1_1": "tiny",
    "densenet121": "medium",
    "swin_t": "a transformer",
    "vit_b_16": "a large transformer",
}
WEIGHTS = {"default": "published weights", "none": "random initialisation"}
TRAIN = {"head": "The last layer (head)", "all": "The whole network"}
_OF_THEIR_OWN = ("backbone", "weights", "train", "name", "sample", "folds")  # own widgets
_USUAL = {
    "head": {"epochs": "not needed", "lr": "not needed", "image_size": "default of the weights"},
    "all": {"epochs": f"{ALL_EPOCHS}", "lr": f"{ALL_LR:g}", "image_size": "default of the weights"},
}
_IN_A_ROW, _LONGEST = 4, 48
_FOUND = "as found"
_ABOUT_READING = [o for o in FIT_OPTIONS if o.about_data and o.kind is str and o.on_page]


def fit_choices(preview: DatasetPreview) -> dict[str, Any]:
    """Return the chosen options of the fit; None means the default."""
    st.subheader("Options", anchor=False)
    first, second, third = st.columns(3, gap="medium")
    backbone = first.selectbox(
        "Network", list(BACKBONES), key="train_backbone", accept_new_options=True,
        format_func=lambda name: f"{name}: {BACKBONES[name]}" if name in BACKBONES else name,
        help="Any classification model of torchvision; type its name if it is not listed. "
        "Several joined by +, such as resnet18+densenet121, are fitted side by side.",
    )  # fmt: skip
    weights = _weights(second, preview, backbone_names(backbone))
    name = third.text_input(
        "Name", key="train_name", max_chars=120, placeholder="display name (optional)"
    )
    train = st.segmented_control(
        "Train", list(TRAIN), format_func=TRAIN.__getitem__, default="head", required=True,
        key="train_what",
        help="Training the last layer needs one pass over the images and is the best start. "
        "Training the whole network needs many passes and, in practice, a GPU.",
    )  # fmt: skip
    sample = st.toggle(
        "Quick test run with 200 training and 50 validation images", key="train_sample",
        help="Takes minutes instead of hours and shows whether everything works.",
    )  # fmt: skip
    folds = st.toggle(
        "Cross-validate on all labelled images, with five folds", key="train_folds",
        disabled=train == "all",
        help="Adds a few seconds: the last layer is trained five times, so that each labelled "
        "image is predicted by a layer trained without it. Test predictions use all images.",
    )  # fmt: skip
    with st.expander("More options", icon=":material/tune:"):
        advanced = _advanced(preview, train or "head")
    chosen = {"backbone": backbone, "weights": weights, "train": train, "name": name}
    n_folds = 5 if folds and train == "head" else None
    return {**chosen, "sample": sample, "folds": n_folds, **advanced}


def reading_choices() -> dict[str, Any]:
    """Return the options for reading the data; None and '' mean that they are detected."""
    with st.expander("How the data are read", icon=":material/table_view:"):
        columns = st.columns(len(_ABOUT_READING), gap="medium")
        return {
            option.name: _widget(column, option, _FOUND)
            for column, option in zip(columns, _ABOUT_READING, strict=True)
        }


def split_choices(preview: DatasetPreview) -> tuple[int | None, bool, int]:
    """Return the options of the split before they are drawn: validation images, sample, seed."""
    chosen = st.session_state
    valid = None if preview.valid_given else chosen.get("train_valid")
    return valid, bool(chosen.get("train_sample")), int(chosen.get("train_seed") or 0)


def _weights(
    column: DeltaGenerator, preview: DatasetPreview, backbones: tuple[str, ...]
) -> list[str]:
    """Ask for the initial weights of each backbone."""
    known = ["default", "none", *weights_files(preview.dataset.root)]
    return [
        column.selectbox(
            f"Initial weights of {literal(name)}" if len(backbones) > 1 else "Initial weights",
            known, key=f"train_weights_{number}" if number else "train_weights",
            accept_new_options=True,
            format_func=lambda name: WEIGHTS.get(name) or one_line(_ending(name)),
            help="Published weights are downloaded once. Weights files near the data are listed "
            f"({', '.join(ENDINGS)}); type the path of another one.",
        )
        for number, name in enumerate(backbones)
    ]  # fmt: skip


def _ending(path: str) -> str:
    return path if len(path) <= _LONGEST else f"…{path[1 - _LONGEST :]}"


def _advanced(preview: DatasetPreview, train: str) -> dict[str, Any]:
    """Show a widget for each option without its own widget above."""
    own = (*_OF_THEIR_OWN, *(option.name for option in _ABOUT_READING))
    options = [o for o in FIT_OPTIONS if o.on_page and o.name not in own]
    values: dict[str, Any] = {}
    for start in range(0, len(options), _IN_A_ROW):
        columns = st.columns(_IN_A_ROW, gap="medium")
        for column, option in zip(columns, options[start : start + _IN_A_ROW], strict=False):
            if option.name == "valid":
                values["valid"] = _valid(column, option, preview)
            else:
                default = "" if option.default is None else str(option.default)
                usual = _USUAL[train].get(option.name, default)
                values[option.name] = _widget(column, option, usual)
    return values


def _widget(column: DeltaGenerator, option: FitOption, usual: str) -> Any:
    """Show the widget for an option; return its value, None if it is empty."""
    label, key, help = option.label, f"train_{option.name}", option.help
    if option.choices:
        return column.selectbox(label, option.choices, key=key, help=help)
    if option.kind is bool:
        return column.toggle(label, key=key, help=help)
    if option.kind in (int, float):
        least, most = (None if n is None else option.kind(n) for n in (option.least, option.most))
        form = "%d" if option.kind is int else "%.2g"
        return column.number_input(
            label, least, most, None, format=form, placeholder=usual, key=key, help=help
        )
    return column.text_input(label, placeholder=usual, key=key, help=help)


def _valid(column: DeltaGenerator, option: FitOption, preview: DatasetPreview) -> int | None:
    """Ask for the number of validation images, unless the data contain some."""
    n: int | None = column.number_input(
        option.label, 1, max(len(preview.dataset.images) - 1, 1), None, key="train_valid",
        placeholder="default split", disabled=preview.valid_given, help=option.help,
    )  # fmt: skip
    return None if preview.valid_given else n
