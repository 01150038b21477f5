"""The kind of a file by its name: an image, a table, an archive, or a file that is not read."""

from __future__ import annotations

import os

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .dib .tif .tiff .webp .avif .ppm .pgm .pbm .pnm .ico "
    ".jp2 .heic .heif".split()
)


TABLE_SUFFIXES = frozenset((".csv", ".tsv", ".tab"))


LIST_SUFFIXES = frozenset((".txt", ".lst"))


# What holds images or labels in a form that is not read, and what to do about it.
FOREIGN = {
    ".7z": "unpack it (7z x) beside itself",
    ".rar": "unpack it (unrar x) beside itself",
    ".gz": "unpack it (tar xzf for .tar.gz, else gunzip) beside itself",
    ".tgz": "unpack it (tar xzf) beside itself",
    ".bz2": "unpack it (tar xjf for .tar.bz2, else bunzip2) beside itself",
    ".xz": "unpack it (tar xJf for .tar.xz, else unxz) beside itself",
    ".mat": "save its content as a CSV with the columns path and label",
    ".json": "save its content as a CSV with the columns path and label",
    ".jsonl": "save its content as a CSV with the columns path and label",
    ".parquet": "save its content as image files and a CSV with the columns path and label",
    ".arrow": "save its content as image files and a CSV with the columns path and label",
    ".tfrec": "save its images as files and their labels as a CSV",
    ".tfrecord": "save its images as files and their labels as a CSV",
    ".tfrecords": "save its images as files and their labels as a CSV",
    ".npy": "save its images as files and their labels as a CSV",
    ".npz": "save its images as files and their labels as a CSV",
    ".h5": "save its images as files and their labels as a CSV",
    ".hdf5": "save its images as files and their labels as a CSV",
    ".pkl": "save its images as files and their labels as a CSV",
    ".txt": "save its split as a CSV with the columns path and split",
    ".dcm": "convert it to PNG",
    ".xlsx": "save it as CSV",
    ".xls": "save it as CSV",
}


_OTHER_SUFFIXES = frozenset(
    ".txt .lst .md .xml .html .htm .py .ipynb .ini .db .log .yaml .yml .pdf .doc .docx .rst .cfg "
    ".names .mp4 .avi .mov .wav .mp3 .bin .pt .pth .onnx .safetensors .js .css .sh .bat .r .m .exe "
    ".toml .bib .tex .sqlite".split()
)


_SYSTEM = frozenset(
    ("__macosx", "@eadir", "$recycle.bin", ".trashes", "system volume information", "lost+found",
     "desktop.ini", "ehthumbs.db", "icon\r")
)  # fmt: skip


_THUMBNAILS = frozenset(("thumbs.db", "thumbs", "thumbnails", ".thumbnails", "_thumbs"))


def kind_of(name: str) -> str:
    """Return ``image``, ``table``, ``list``, ``archive``, ``foreign``, ``other`` or ``unknown``."""
    stem, suffix = os.path.splitext(name.lower())
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in TABLE_SUFFIXES:
        return "table"
    if suffix in LIST_SUFFIXES:
        return "list"
    if suffix in (".zip", ".tar"):
        return "archive"
    if suffix in FOREIGN or os.path.splitext(stem)[1] in (".zip", ".7z"):  # train.zip.001
        return "foreign"
    return "other" if suffix in _OTHER_SUFFIXES else "unknown"


def what_to_do(name: str) -> str:
    """Return the advice for a file that is not read, such as "convert it to PNG"."""
    suffix = os.path.splitext(name.lower())[1]
    if suffix in (".zip", ".tar"):
        return "unpack it beside itself"
    return FOREIGN.get(suffix, "join its parts and unpack them")


def ignored_as(name: str) -> str | None:
    """Return why a file or folder of this name is ignored, None if it is read."""
    lower = name.lower()
    if lower in _THUMBNAILS or lower.startswith("synophoto_thumb"):
        return "thumbnails"
    if lower in _SYSTEM:
        return "system files"
    return "hidden files" if name.startswith(".") else None
