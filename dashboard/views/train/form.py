"""The choices of a fit, with their defaults; what few need is folded away."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.views.train.data import DatasetPreview

BACKBONES = {
    "vgg16": "the usual one, large",
    "resnet18": "small and quick",
    "resnet50": "medium",
    "mobilenet_v2": "small, for slow machines",
    "mobilenet_v3_large": "small, for slow machines",
    "efficientnet_b0": "small and good",
    "efficientnet_v2_s": "medium and good",
    "convnext_tiny": "medium and good",
    "squeezenet1_1": "tiny",
    "densenet121": "medium",
    "swin_t": "a transformer",
    "vit_b_16": "a large transformer",
}
WEIGHTS = {"default": "published weights", "none": "no weights, from nothing"}
TRAIN = {"head": "The last layer", "all": "The whole network"}


def choices(preview: DatasetPreview) -> dict[str, Any]:
    """Return the options of the fit as chosen; None where the default holds."""
    st.subheader("Choices", anchor=False)
    first, second, third = st.columns(3, gap="medium")
    backbone = first.selectbox(
        "Network", list(BACKBONES), key="train_backbone", accept_new_options=True,
        format_func=lambda name: f"{name}: {BACKBONES[name]}" if name in BACKBONES else name,
        help="Any classification model of torchvision; type its name if it is not listed.",
    )  # fmt: skip
    weights = second.selectbox(
        "Begin with", ["default", "none"], key="train_weights", accept_new_options=True,
        format_func=lambda name: WEIGHTS.get(name, name),
        help="Published weights are downloaded once. Type a path to use a .safetensors file.",
    )  # fmt: skip
    name = third.text_input(
        "Name", key="train_name", max_chars=120, placeholder="optional, to know the run by"
    )
    train = st.segmented_control(
        "Train", list(TRAIN), format_func=TRAIN.__getitem__, default="head", required=True,
        key="train_what",
        help="The last layer takes one pass over the images and is the place to begin. The whole "
        "network takes many, and a GPU makes it bearable.",
    )  # fmt: skip
    sample = st.toggle(
        "Rehearse first, on 200 train and 50 valid images", key="train_sample",
        help="Minutes instead of hours, to see that all is well.",
    )  # fmt: skip
    folds = st.toggle(
        "Judge by all labelled images, in five folds", key="train_folds",
        disabled=train == "all",
        help="Seconds more: the last layer is trained five times, so that each labelled image is "
        "predicted by one that has not seen it. The one handed in learns from all of them.",
    )  # fmt: skip
    with st.expander("More choices", icon=":material/tune:"):
        advanced = _advanced(preview, train or "head")
    chosen = {"backbone": backbone, "weights": weights, "train": train, "name": name}
    n_folds = 5 if folds and train == "head" else None
    return {**chosen, "sample": sample, "folds": n_folds, **advanced}


def split_choices(preview: DatasetPreview) -> tuple[int | None, bool, int]:
    """Return what is chosen about the split, before it is drawn: valid images, sample, seed."""
    chosen = st.session_state
    valid = None if preview.valid_given else chosen.get("train_valid")
    return valid, bool(chosen.get("train_sample")), int(chosen.get("train_seed") or 0)


def _advanced(preview: DatasetPreview, train: str) -> dict[str, Any]:
    columns = st.columns(4, gap="medium")
    usual = {"head": ("30 or more", "0.003"), "all": ("10", "0.0001")}[train]
    values: dict[str, Any] = {
        "epochs": columns[0].number_input(
            "Epochs", 1, 10_000, None, key="train_epochs", placeholder=usual[0],
            help="Passes over the training images.",
        ),
        "lr": columns[1].number_input(
            "Learning rate", 1e-7, 10.0, None, format="%.2g", key="train_lr",
            placeholder=usual[1], help="The highest it reaches; too high and the loss jumps.",
        ),
        "batch_size": columns[2].number_input(
            "Batch size", 1, 65_536, None, key="train_batch_size", placeholder="64",
            help="Images a step; smaller when memory runs out.",
        ),
        "image_size": columns[3].number_input(
            "Image size", 32, 1024, None, key="train_image_size", placeholder="the weights' own",
            help="Side of the square that the network sees, in pixels.",
        ),
    }  # fmt: skip
    columns = st.columns(4, gap="medium")
    values["valid"] = columns[0].number_input(
        "Valid images", 1, max(len(preview.dataset.images) - 1, 1), None, key="train_valid",
        placeholder="the usual split", disabled=preview.valid_given,
        help="Labelled images held out to judge by.",
    )  # fmt: skip
    values["seed"] = columns[1].number_input(
        "Seed",
        0,
        2**31 - 1,
        None,
        key="train_seed",
        placeholder="0",
        help="Another seed makes another split and another beginning.",
    )
    values["device"] = columns[2].selectbox(
        "Device",
        ["auto", "cpu", "cuda", "mps"],
        key="train_device",
        help="auto takes the GPU where there is one.",
    )
    values["precision"] = columns[3].selectbox(
        "Precision",
        ["auto", "float32", "bfloat16", "float16"],
        key="train_precision",
        help="Half precision is quicker and changes probabilities a little.",
    )
    if preview.valid_given:
        values["valid"] = None
    return values
