"""Matches texts with images: by path, the end of the path, file name or stem."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PROBED = 1000
NONE, AMBIGUOUS = -1, -2  # in place of an image's position


def clean(texts: pa.StringArray) -> pa.StringArray:
    """Return texts without outer spaces, in Unicode's composed form, for comparison."""
    texts = pc.utf8_trim_whitespace(texts)
    return texts if pc.all(pc.string_is_ascii(texts)).as_py() else pc.utf8_normalize(texts, "NFC")


def as_paths(texts: pa.StringArray, root: Path | None = None) -> pa.StringArray:
    r"""Return cleaned texts with ``/`` for ``\``, without ``./`` and ``root`` before them."""
    texts = clean(texts)
    if pc.any(pc.match_substring(texts, "\\")).as_py():
        texts = pc.replace_substring(texts, "\\", "/")
    if pc.any(pc.starts_with(texts, "./")).as_py():
        texts = pc.replace_substring_regex(texts, r"^(\./+)+", "")
    if (
        root is not None
        and pc.any(pc.starts_with(texts, (before := f"{root.as_posix()}/"))).as_py()
    ):
        texts = pc.replace_substring_regex(texts, f"^{re.escape(before)}", "")
    return texts


def match_names(
    wanted: pa.StringArray, names: pa.StringArray, root: Path | None = None
) -> np.ndarray:
    """Return the position of the image that each text means, ``NONE`` or ``AMBIGUOUS``.

    A text means the image whose path shares the longest ending with it. If no file has its name,
    extensions are ignored, first those of the images, then both. If two images share the longest
    ending, the text is ambiguous. A file name alone does not match an image in another folder if
    the text's own folder exists, or if other texts name that other folder: with ``Cat/3.jpg``
    deleted, ``Cat/3.jpg`` does not mean ``Dog/3.jpg``.

    Parameters
    ----------
    wanted : texts of shape (n,)
    names : the images' paths below ``root``, with ``/``, of shape (m,)
    root : the images' folder, which paths may begin with

    Returns
    -------
    int64 array of shape (n,)
    """
    paths, keys = as_paths(wanted, root), clean(names)
    rows = np.full(len(paths), NONE, dtype=np.int64)
    if not len(keys):
        return rows
    stems = _stems(keys)
    levels = [(paths, keys), (paths, stems), (None, stems)]
    if (_find(paths[:_PROBED], keys) == NONE).all():  # a table of ids, as a rule
        levels = [levels[1], levels[0], levels[2]]
    for texts, there in levels:
        left = np.flatnonzero(rows == NONE)
        if len(left):
            some = (_stems(paths) if texts is None else texts).take(pa.array(left))
            rows[left] = _find(some, there)
    rows[_in_wrong_folder(paths, keys, rows)] = NONE
    return rows


def _in_wrong_folder(paths: pa.StringArray, keys: pa.StringArray, rows: np.ndarray) -> np.ndarray:
    """Return which texts of shape (n,) found, by the file name alone, another folder's image."""
    found = np.flatnonzero(rows >= 0)
    if not len(found) or not _any_folder(paths) or not _any_folder(keys):
        return found[:0]
    wanted = _folders(paths.take(pa.array(found)))
    there = _folders(keys).take(pa.array(rows[found]))
    named = np.asarray(pc.not_equal(wanted, ""), dtype=bool)
    equal = np.asarray(pc.equal(wanted, there), dtype=bool)
    claimed = pc.unique(there.filter(pa.array(named & equal)))
    exists = np.asarray(pc.is_in(wanted, pc.unique(_folders(keys))), dtype=bool)
    belongs = np.asarray(pc.is_in(there, claimed), dtype=bool)
    in_folder = np.asarray(pc.not_equal(there, ""), dtype=bool)
    wrong: np.ndarray = found[named & in_folder & ~equal & (exists | belongs)]
    return wrong


def _any_folder(paths: pa.StringArray) -> bool:
    return bool(pc.any(pc.match_substring(paths, "/")).as_py())


def _folders(paths: pa.StringArray) -> pa.StringArray:
    """Return the name of the folder that each file lies in, empty where its path has none."""
    parts = pc.split_pattern(paths, "/", max_splits=1, reverse=True)
    parents = pc.if_else(pc.equal(pc.list_value_length(parts), 2), pc.list_element(parts, 0), "")
    different = parents.dictionary_encode()  # few, as a rule
    names = pc.replace_substring_regex(different.dictionary, "(?s)^.*/", "")
    return names.take(different.indices)


def _find(texts: pa.StringArray, keys: pa.StringArray) -> np.ndarray:
    """Find the key with which each text has the longest end in common."""
    rows = _positions(_last(texts, 1), _last(keys, 1))
    # A name that one image has is the longest end too; only one of several needs its folders.
    undecided = np.flatnonzero(rows == AMBIGUOUS)
    for parts in range(2, _depth(keys) + 1):
        if not len(undecided):
            break
        some = texts.take(pa.array(undecided))
        longer = _positions(_last(some, parts), _last(keys, parts))
        rows[undecided[longer >= 0]] = longer[longer >= 0]
        undecided = undecided[longer == AMBIGUOUS]
    return rows


def _last(texts: pa.StringArray, parts: int) -> pa.StringArray:
    """Return the last parts of paths; a path that has fewer is whole."""
    if _depth(texts) <= parts:
        return texts
    ends = pc.min_max(texts).as_py()  # what these two begin with, all do
    common = os.path.commonprefix([ends["min"], ends["max"]]).rpartition("/")[0]
    if common and parts == 1:
        texts = pc.utf8_slice_codeunits(texts, len(common) + 1)
        if _depth(texts) == 1:
            return texts
    pattern = f"(?s)^.*/((?:[^/]*/){{{parts - 1}}}[^/]*)$"
    return pc.replace_substring_regex(texts, pattern, r"\1")


def _stems(paths: pa.StringArray) -> pa.StringArray:
    """Return paths without the extension of their file."""
    suffix = re.search(r"\.[A-Za-z0-9]{1,5}$", paths[0].as_py() or "") if len(paths) else None
    if suffix and pc.all(pc.ends_with(paths, suffix[0])).as_py():
        return pc.utf8_slice_codeunits(paths, 0, -len(suffix[0]))
    return pc.replace_substring_regex(paths, r"(?s)^(.*[^/])\.[A-Za-z0-9]{1,5}$", r"\1")


def _depth(texts: pa.StringArray) -> int:
    return (pc.max(pc.count_substring(texts, "/")).as_py() or 0) + 1


def _positions(texts: pa.StringArray, keys: pa.StringArray) -> np.ndarray:
    """Find each text among the keys: its position, ``NONE``, or ``AMBIGUOUS`` of several."""
    joined = pa.chunked_array([keys, texts], pa.string()).combine_chunks()
    encoded = joined.dictionary_encode()  # one pass over all texts, the costly step
    codes = np.asarray(encoded.indices.fill_null(0))
    of_keys, of_texts = codes[: len(keys)], codes[len(keys) :]
    position = np.full(len(encoded.dictionary), NONE, dtype=np.int64)
    position[of_keys] = np.arange(len(keys))
    position[np.bincount(of_keys, minlength=len(position)) > 1] = AMBIGUOUS
    found: np.ndarray = position[of_texts]
    found[np.asarray(pc.equal(texts, ""), dtype=bool)] = NONE
    return found
