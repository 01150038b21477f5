"""The Train page: preview a data folder, choose options, start and follow fits."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import streamlit as st

from dashboard.shared import commands, html, thumbnails
from dashboard.shared.escape import error_text, form_text, literal
from dashboard.shared.thumbnails import ImageFile
from dashboard.views.train import data as train_data
from dashboard.views.train import estimate, form, text
from dashboard.views.train import jobs as train_jobs
from dashboard.views.train.data import DatasetPreview
from engine.errors import UserError
from engine.runs.fit_defaults import checked_options
from engine.runs.fit_options import FitOptions
from engine.runs.network_names import names_a_file
from engine.runs.roots import check_readable

SAMPLES = 24
DATA, RECENT, STARTED = "train_data", "train_recent", "train_started"


def page() -> None:
    st.header("Train", anchor=False)
    if st.session_state.pop(STARTED, False):
        st.toast(
            "The fit has started; it is the first in the list above.", icon=":material/play_arrow:"
        )
    train_jobs.show()
    data = choose_data()
    if data is None:
        return
    with st.container(key="train_parts"):  # on a wide screen the second stands beside the others
        reads, previews, fits = (st.container() for _ in range(3))
    with reads:
        reading = form.reading_choices()
    try:
        with previews:
            preview = read_data(FitOptions.chosen(data, reading))
    except UserError as error:
        st.error(error_text(error), icon=":material/error:")
        return
    with previews:
        left, right = st.columns([2, 3], gap="large")
    with left:
        data_summary(preview)
        class_counts(preview)
        unusual_files(preview)
    with right:
        sample_grid(preview)
    with fits:
        options = FitOptions.chosen(data, {**reading, **form.fit_choices(preview)})
        expected_time(preview, options)
        start(options)


def choose_data() -> Path | None:
    """Let the user enter a data folder or choose a recent one."""
    st.subheader("Images", anchor=False)
    recent = train_data.recent_folders()
    st.text_input(
        "Data folder",
        key=DATA,
        placeholder="/home/me/dogs-vs-cats",
        help="A Kaggle folder (train/cat.0.jpg, test/1.jpg), a folder with train/<class>/…, a "
        "folder of class folders, a CSV with path,label, or a folder with train.zip and test.zip. "
        "Its files are never changed.",
    )
    if recent and not st.session_state[DATA]:
        st.pills(
            "Recent folders", recent, key=RECENT, on_change=take_recent,
            format_func=lambda path: literal(_short(path)),
        )  # fmt: skip
    entered = str(st.session_state[DATA]).strip()
    if not entered:
        st.caption("Enter a folder of labelled images to preview its content.")
        return None
    # Unlike Path.expanduser, this keeps `~name` if there is no such user.
    return Path(os.path.expanduser(entered)).absolute()


def take_recent() -> None:
    """Use a recent folder (callback)."""
    st.session_state[DATA] = st.session_state[RECENT] or ""


def read_data(options: FitOptions) -> DatasetPreview:
    """Read the data, with a progress bar if it takes long."""
    bar = st.empty()

    def progress(stage: str, done: int, total: int) -> None:
        bar.progress(done / max(total, 1), f"Reading {done:,} of {total:,} files")

    preview = train_data.preview_of(options, progress)
    bar.empty()
    return preview


def class_counts(preview: DatasetPreview) -> None:
    """Tabulate the classes, with the split that the options below give."""
    try:
        counts = train_data.counts(preview, *form.split_choices(preview))
    except UserError as error:
        st.error(error_text(error), icon=":material/error:")
        return
    test = int((preview.dataset.images["split"] == "test").sum())
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
    html.show_html(html.table(("Class", "train", "valid"), shown))
    st.caption(f"{test:,} test images.")


def data_summary(preview: DatasetPreview) -> None:
    """Say where labels, splits and test images came from, what was ignored, and warn."""
    found = preview.found
    lines = [(subject.capitalize(), said) for subject, said in found.lines]
    lines += [("Not read", line) for line in found.ignored_lines]
    html.show_html(text.found(lines))
    for warning in found.warnings:
        st.warning(form_text(warning), icon=":material/warning:")


def sample_grid(preview: DatasetPreview) -> None:
    chosen = train_data.samples(preview, SAMPLES)
    files = [
        ImageFile(preview.dataset.root / path, sha256)
        for path, sha256 in zip(chosen["path"], chosen["sha256"], strict=True)
    ]
    images = zip(thumbnails.small(files), chosen["label"], strict=True)
    html.show_html(html.image_grid(list(images)))


def unusual_files(preview: DatasetPreview) -> None:
    """Show unusable images, unusual images and repeated images."""
    bad = preview.dataset.quarantine
    if len(bad):
        reasons = bad["reason"].value_counts()
        with st.expander(
            f"{len(bad):,} unreadable file{'s' * (len(bad) > 1)}",
            icon=":material/report:",
            expanded=False,
        ):
            lines = [(str(reason), f"{n:,}") for reason, n in reasons.head(8).items()]
            html.show_html(html.table(("Reason", "images"), lines))
            st.dataframe(bad[["path", "reason"]], hide_index=True, height="auto", key="aside")
    if notes := preview.dataset.notes:
        unusual = f"{len(notes):,} unusual image{'s' * (len(notes) > 1)}"
        with st.expander(f"{unusual}, used as they are", icon=":material/info:"):
            table = [{"Path": path, "Note": note} for path, note in notes.items()]
            st.dataframe(table, hide_index=True, key="noted")
    if preview.repeated:
        n = len(preview.repeated)
        occur = "1 image occurs" if n == 1 else f"{n:,} images occur"
        with st.expander(
            f"{occur} twice, in two splits or with two labels",
            icon=":material/content_copy:",
        ):
            columns = {"paths": "Paths", "splits": "Splits", "labels": "Labels"}
            rows = [
                {columns[key]: ", ".join(map(str, entry[key])) for key in columns}  # type: ignore[call-overload]
                for entry in preview.repeated
            ]
            st.dataframe(rows, hide_index=True, key="repeated")
    if not len(bad) and not preview.repeated:
        st.caption("All files are readable, and no image occurs in two splits or with two labels.")


def expected_time(preview: DatasetPreview, options: FitOptions) -> None:
    """Say how long the pass will take, as measured here, and which network is better."""
    try:
        split = train_data.split_images(preview, *form.split_choices(preview))["split"]
    except UserError:  # shown above
        return
    for sentence in estimate.sentences(options, Counter(split)):
        st.caption(form_text(sentence))


def start(options: FitOptions) -> None:
    if st.button("Start", type="primary", icon=":material/play_arrow:", key="train_start"):
        try:
            for weights in filter(names_a_file, options.weights):
                check_readable(Path(os.path.expanduser(weights)).absolute())
            checked_options(options)
            commands.start_fit(options)
        except UserError as error:
            st.error(error_text(error), icon=":material/error:")
            return
        st.session_state[STARTED] = True
        st.rerun()
    st.caption("Training continues if you close this tab.")


def _short(path: str) -> str:
    return path if len(path) <= 60 else "…" + path[-59:]


page()
