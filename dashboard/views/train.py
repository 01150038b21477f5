"""Train: look at a data folder, choose, start; then watch, from any tab, or leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import jobs_panel, loaders_data, pictures, words
from dashboard.loaders_data import Looked
from dashboard.pictures import Picture
from dashboard.text import literal
from engine.errors import Refused
from engine.runs import jobs

SAMPLES = 24
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
DATA, RECENT, STARTED = "train_data", "train_recent", "train_started"


def page() -> None:
    st.header("Train", anchor=False)
    jobs_panel.show()
    data = choose_data()
    if data is None:
        return
    try:
        looked = look_at(data)
    except Refused as error:
        st.error(literal(str(error)), icon=":material/error:")
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        valid = st.session_state.get("train_valid")
        class_counts(looked, valid)
        put_aside(looked)
    with right:
        sample_grid(looked)
    start(data, choices(looked))


def choose_data() -> Path | None:
    """Let the person name a data folder, or take one used before."""
    st.subheader("Pictures", anchor=False)
    recent = loaders_data.recent_folders()
    if st.session_state.pop(STARTED, False):  # the fit above is what matters now
        st.session_state[DATA], st.session_state[RECENT] = "", None
    st.text_input(
        "Data folder",
        key=DATA,
        placeholder="/home/me/dogs-vs-cats",
        help="A Kaggle folder (train/cat.0.jpg, test/1.jpg), a folder with train/<class>/…, a "
        "folder of class folders, a CSV with path,label, or a folder with train.zip and test.zip. "
        "It is only read.",
    )
    if recent and not st.session_state[DATA]:
        st.pills(
            "Used before", recent, key=RECENT, on_change=take_recent,
            format_func=lambda path: literal(_short(path)),
        )  # fmt: skip
    text = str(st.session_state[DATA]).strip()
    if not text:
        st.caption("Name a folder of labelled pictures to see what is in it before anything runs.")
        return None
    return Path(text).expanduser().absolute()


def take_recent() -> None:
    """Take over a folder used before (a callback)."""
    st.session_state[DATA] = st.session_state[RECENT] or ""


def look_at(data: Path) -> Looked:
    """Read the folder, with a bar while that takes time."""
    bar = st.empty()

    def progress(stage: str, done: int, total: int) -> None:
        bar.progress(done / max(total, 1), f"Reading {done:,} of {total:,} files")

    looked = loaders_data.look_at(data, progress)
    bar.empty()
    return looked


def class_counts(looked: Looked, valid: int | None) -> None:
    counts = loaders_data.counts(looked, valid)
    test = int((looked.dataset.images["split"] == "test").sum())
    total = counts[["train", "valid"]].sum()
    rows = [
        (name, f"{row.train:,}", f"{row.valid:,}")
        for name, row in zip(counts.index, counts.itertuples(), strict=True)
    ]
    shown = rows[:12]
    if len(rows) > 12:
        rest = counts.iloc[12:][["train", "valid"]].sum()
        shown.append((f"and {len(rows) - 12:,} more", f"{rest.train:,}", f"{rest.valid:,}"))
    shown.append(("All classes", f"{total.train:,}", f"{total.valid:,}"))
    words.styled(words.table(("Class", "train", "valid"), shown))
    how = "as the folder says" if looked.valid_given else "held out of the labelled ones"
    notes = [f"{test:,} test pictures.", f"Valid pictures: {how}."]
    if looked.dataset.ignored:
        notes.append(f"{looked.dataset.ignored:,} other files passed over.")
    st.caption(" ".join(notes))


def sample_grid(looked: Looked) -> None:
    chosen = loaders_data.samples(looked, SAMPLES)
    files = [
        Picture(looked.dataset.root / path, sha256)
        for path, sha256 in zip(chosen["path"], chosen["sha256"], strict=True)
    ]
    words.styled(words.picture_grid(list(zip(pictures.small(files), chosen["label"], strict=True))))


def put_aside(looked: Looked) -> None:
    """Show what cannot be used, and what is there twice."""
    bad = looked.dataset.quarantine
    if len(bad):
        reasons = bad["reason"].value_counts()
        with st.expander(
            f"{len(bad):,} pictures put aside", icon=":material/report:", expanded=False
        ):
            lines = [(str(reason), f"{n:,}") for reason, n in reasons.head(8).items()]
            words.styled(words.table(("Reason", "pictures"), lines))
            st.dataframe(bad[["path", "reason"]], hide_index=True, height="auto", key="aside")
    if looked.repeated:
        with st.expander(
            f"{len(looked.repeated):,} pictures are there twice, in two splits or under two labels",
            icon=":material/content_copy:",
        ):
            columns = {"paths": "Paths", "splits": "Splits", "labels": "Labels"}
            rows = [
                {columns[key]: ", ".join(map(str, entry[key])) for key in columns}  # type: ignore[call-overload]
                for entry in looked.repeated
            ]
            st.dataframe(rows, hide_index=True, key="repeated")
    if not len(bad) and not looked.repeated:
        st.caption("Every file can be read, and no picture is in two splits or under two labels.")


def choices(looked: Looked) -> dict[str, Any]:
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
        help="The last layer takes one pass over the pictures and is the place to begin. The whole "
        "network takes many, and a GPU makes it bearable.",
    )  # fmt: skip
    sample = st.toggle(
        "Rehearse first, on 200 train and 50 valid pictures", key="train_sample",
        help="Minutes instead of hours, to see that all is well.",
    )  # fmt: skip
    with st.expander("More choices", icon=":material/tune:"):
        advanced = _advanced(looked, train or "head")
    chosen = {"backbone": backbone, "weights": weights, "train": train, "name": name}
    return {**chosen, "sample": sample, **advanced}


WEIGHTS = {"default": "published weights", "none": "no weights, from nothing"}
TRAIN = {"head": "The last layer", "all": "The whole network"}


def _advanced(looked: Looked, train: str) -> dict[str, Any]:
    columns = st.columns(4, gap="medium")
    usual = {"head": ("30", "0.003"), "all": ("10", "0.0001")}[train]
    values: dict[str, Any] = {
        "epochs": columns[0].number_input(
            "Epochs", 1, 10_000, None, key="train_epochs", placeholder=usual[0],
            help="Passes over the training pictures.",
        ),
        "lr": columns[1].number_input(
            "Learning rate", 1e-7, 10.0, None, format="%.2g", key="train_lr",
            placeholder=usual[1], help="The highest it reaches; too high and the loss jumps.",
        ),
        "batch_size": columns[2].number_input(
            "Batch size", 1, 65_536, None, key="train_batch_size", placeholder="64",
            help="Pictures a step; smaller when memory runs out.",
        ),
        "image_size": columns[3].number_input(
            "Picture size", 32, 1024, None, key="train_image_size", placeholder="the weights' own",
            help="Side of the square that the network sees, in pixels.",
        ),
    }  # fmt: skip
    columns = st.columns(4, gap="medium")
    values["valid"] = columns[0].number_input(
        "Valid pictures", 1, max(len(looked.dataset.images) - 1, 1), None, key="train_valid",
        placeholder="the usual split", disabled=looked.valid_given,
        help="Labelled pictures held out to judge by.",
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
    if looked.valid_given:
        values["valid"] = None
    return values


def start(data: Path, options: dict[str, Any]) -> None:
    if st.button("Start", type="primary", icon=":material/play_arrow:", key="train_start"):
        try:
            jobs.start_fit(data, options)
        except Refused as error:
            st.error(literal(str(error)), icon=":material/error:")
            return
        st.session_state[STARTED] = True
        st.rerun()
    st.caption("It runs on its own: close the tab, come back later, and it is here.")


def _short(path: str) -> str:
    return path if len(path) <= 60 else "…" + path[-59:]


page()
