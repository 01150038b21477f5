"""A text finds the image that it means, by the longest end of its path, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.names import AMBIGUOUS, NONE, match_names

IMAGES = ["train/cat/1.jpg", "train/dog/1.jpg", "train/cat/2.png", "test/café.jpg", "a b.jpg"]


def place(text: str, names: list[str] = IMAGES, root: Path | None = None) -> int:
    return int(match_names(pa.array([text]), pa.array(names), root)[0])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("train/cat/1.jpg", 0),
        ("/data/train/cat/1.jpg", 0),
        ("C:\\Users\\me\\train\\dog\\1.jpg", 1),
        ("cat/1.jpg", 0),
        ("./train/dog/1.jpg", 1),
        ("1.jpg", AMBIGUOUS),
        ("1", AMBIGUOUS),
        ("cat/1", 0),
        ("2", 2),
        ("2.png", 2),
        ("2.jpg", 2),
        ("3.jpg", NONE),
        ("cafe\u0301.jpg", 3),
        (" a b.jpg ", 4),
        ("", NONE),
        ("/elsewhere/2.png", 2),
    ],
)
def test_the_longest_common_end_decides(text, found):
    assert place(text) == found


@pytest.mark.parametrize(
    ("texts", "images", "found"),
    [
        (["Cat/1.jpg", "Cat/3.jpg", "Dog/3.jpg"], ["Cat/1.jpg", "Dog/3.jpg"], [0, NONE, 1]),
        (["x/Cat/1.jpg", "x/Dog/3.jpg"], ["Dog/1.jpg", "Dog/3.jpg"], [NONE, 1]),
        (["Cat/1", "Cat/3"], ["Cat/1.jpg", "Dog/3.jpg"], [0, NONE]),
        (["Katze/1.jpg", "Hund/2.jpg"], ["Cat/1.jpg", "Dog/2.jpg"], [0, 1]),
        (["train/1.jpg", "train/2.jpg"], ["train/Cat/1.jpg", "train/Dog/2.jpg"], [0, 1]),
        (["1.jpg", "Dog/2.jpg"], ["Cat/1.jpg", "Dog/2.jpg"], [0, 1]),
    ],
)
def test_a_file_name_in_another_folder_is_another_image(texts, images, found):
    assert match_names(pa.array(texts), pa.array(images)).tolist() == found


def test_paths_below_the_root_are_relative_to_it():
    assert place("/data/set/1.jpg", ["1.jpg", "other/1.jpg"], Path("/data/set")) == 0


@given(st.lists(st.text("ab/.", min_size=1, max_size=6), min_size=1, max_size=8, unique=True))
def test_the_whole_path_always_finds_itself(names):
    names = [name for name in names if name == name.strip() and not name.startswith("./")]
    if not names:
        return
    rows = match_names(pa.array(names), pa.array(names))
    ends = [name.rpartition("/")[2] for name in names]
    for row, name, end in zip(rows, names, ends, strict=True):
        if end and ends.count(end) == 1:
            assert names[row] == name


def test_a_million_names_are_found_in_any_order():
    n = 50_000
    names = pa.array([f"train/img_{k:06}.jpg" for k in range(n)])
    ids = pa.array([f"img_{k:06}" for k in reversed(range(n))])
    assert np.array_equal(match_names(ids, names), np.arange(n)[::-1])
