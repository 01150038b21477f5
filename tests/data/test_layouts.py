"""Every layout is listed with split, label and id, and nothing else is taken for an image."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.layouts import all_images, find_images
from engine.errors import UserError
from tests.support import tiny_images as tiny

CAT_DOG = ("cat", "dog")


def rows(data: Path, classes: tuple[str, ...] = ()) -> list[tuple[str, str | None, str]]:
    """Return split, label and id of each image, in the order of the listing."""
    images = find_images(data, classes).images
    assert list(images.columns) == ["id", "path", "split", "label", "group", "fold"]
    return list(zip(images["split"], images["label"], images["id"], strict=True))


def refusal(data: Path, classes: tuple[str, ...] = ()) -> str:
    with pytest.raises(UserError) as caught:
        find_images(data, classes)
    message = str(caught.value)
    assert str(data) in message and "\n" not in message and message.endswith(".")
    return message


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        tiny.put(folder / name, b"x")
    return folder


KAGGLE = [
    ("test", None, "1"),
    ("test", None, "2"),
    ("train", "cat", "cat.0"),
    ("train", "cat", "cat.1"),
    ("train", "dog", "dog.0"),
    ("train", "dog", "dog.1"),
]


def test_a_kaggle_folder(tmp_path):
    data = tiny.kaggle(tmp_path / "data", train=2, test=2)
    assert rows(data) == KAGGLE
    listing = find_images(data)
    assert listing.root == data
    assert listing.images["path"].tolist()[0] == "test/1.jpg"
    assert all((data / path).is_file() for path in listing.images["path"])


@pytest.mark.parametrize("inner", [True, False])
def test_archives_read_as_the_folders_they_hold(tmp_path, inner):
    data = tiny.zipped(tiny.kaggle(tmp_path / "data", train=2, test=2), inner=inner)
    assert sorted(path.name for path in data.iterdir()) == ["test.zip", "train.zip"]
    assert rows(data) == KAGGLE
    listing = find_images(data)
    assert all((listing.root / path).is_file() for path in listing.images["path"])
    assert sorted(path.name for path in data.iterdir()) == ["test.zip", "train.zip"]


def test_one_archive_of_everything_even_of_archives(tmp_path):
    data = tiny.zipped(tiny.kaggle(tmp_path / "dogs", train=2, test=2))
    whole = tmp_path / "all.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for name in ("train.zip", "test.zip"):
            archive.write(data / name, name)
        archive.writestr("sample_submission.csv", "id,label\n")
    assert rows(whole) == KAGGLE
    assert rows(data / "train.zip") == KAGGLE[2:]


@pytest.mark.parametrize("name", ["valid", "val"])
def test_an_image_folder_with_labelled_valid_and_test(tmp_path, name):
    data = tiny.image_folder(tmp_path / "data", train=2, valid=1, test=1, valid_name=name)
    assert rows(data) == [
        ("test", "cat", "cat/0"),
        ("test", "dog", "dog/0"),
        ("train", "cat", "train/cat/0"),
        ("train", "cat", "train/cat/1"),
        ("train", "dog", "train/dog/0"),
        ("train", "dog", "train/dog/1"),
        ("valid", "cat", "valid/cat/0"),
        ("valid", "dog", "valid/dog/0"),
    ]


def test_names_in_a_test_folder_are_no_labels(tmp_path):
    data = touch(tmp_path / "data", "train/cat.0.jpg", "train/dog.0.jpg", "test/cat.7.jpg")
    assert rows(data)[0] == ("test", None, "cat.7")


def test_class_folders_take_their_label_from_the_outermost_folder(tmp_path):
    data = touch(tmp_path / "data", "daisy/x.jpg", "daisy/more/y.png", "rose/dog.1.jpg")
    assert rows(data) == [
        ("train", "daisy", "daisy/more/y"),
        ("train", "daisy", "daisy/x"),
        ("train", "rose", "rose/dog.1"),
    ]


def test_class_folders_may_be_links_and_links_may_run_in_circles(tmp_path):
    touch(tmp_path, "far/away/1.jpg", "data/dog/1.jpg")
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "data" / "dog" / "up").symlink_to(tmp_path / "data")
    assert rows(tmp_path / "data") == [("train", "cat", "cat/1"), ("train", "dog", "dog/1")]
    assert find_images(tmp_path / "data").ignored == 1


def test_a_name_without_number_has_no_label(tmp_path):
    data = touch(tmp_path / "data", "train/cat.jpg", "train/big.cat.3.jpeg", "train/dog.x.jpg")
    assert [(label, id) for _, label, id in rows(data)] == [
        ("big.cat", "big.cat.3"),
        (None, "cat"),
        (None, "dog.x"),
    ]


def test_csv_with_and_without_split(tmp_path):
    plain = tiny.csv_list(tmp_path / "plain", train=1, test=1)
    assert rows(plain) == [
        ("test", None, "images/test--0"),
        ("train", "cat", "images/train-cat-0"),
        ("train", "dog", "images/train-dog-0"),
    ]
    split = tiny.csv_list(tmp_path / "split", train=1, valid=1, test=1, split=True)
    assert [(part, label) for part, label, _ in rows(split)] == [
        ("test", None),
        ("train", "cat"),
        ("train", "dog"),
        ("valid", "cat"),
        ("valid", "dog"),
    ]
    assert find_images(split).root == tmp_path / "split"


def test_csv_ids_paths_and_gaps(tmp_path):
    file = tmp_path / "list.csv"
    file.write_bytes(
        b"\xef\xbb\xbfid,split,path,label,note\r\n"
        b'001,,"a, b.jpg",NA,\r\n'
        b"1,val,b.jpg,cat,\r\n"
        b"x y,,/far/c.jpg,,\r\n"
    )
    assert rows(file) == [("test", None, "001"), ("test", None, "x y"), ("valid", "cat", "1")]
    assert find_images(file).images["path"].tolist() == ["a, b.jpg", "/far/c.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "cannot be read"),
        ("path,label\n", "no image"),
        ("photo,label\na.jpg,cat\n", "needs a column with the images' paths or names"),
        ("path,label\na.jpg,cat\na.jpg,dog\n", "'a.jpg'"),
        ("path,label,split\na.jpg,cat,holdout\n", "'holdout'"),
        ("path,label\na.jpg,cat\n,dog\n", "row '2'"),
        ("path,label\na.jpg,cat,extra\n", "cannot be read"),
        ("path,label,id\na.jpg,cat,7\nb.jpg,dog,7\n", "'7'"),
        ("path,label,id\na.jpg,cat,\n", "no id in row '1'"),
        (b"path,label\n\xff.jpg,cat\n", "UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused(tmp_path, content, what):
    file = tmp_path / "list.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert what in refusal(file)


def test_flat_folder_to_predict(tmp_path):
    labelled = touch(tmp_path / "a", "cat.1.jpg", "dog.2.jpg")
    assert rows(labelled, CAT_DOG) == [("test", "cat", "cat.1"), ("test", "dog", "dog.2")]
    unlabelled = touch(tmp_path / "b", "001.jpg", "1.jpg", "IMG_2.JPG")
    assert rows(unlabelled, CAT_DOG) == [
        ("test", None, "001"),
        ("test", None, "1"),
        ("test", None, "IMG_2"),
    ]
    mixed = touch(tmp_path / "c", "cat.1.jpg", "wolf.2.jpg", "me.jpg")
    assert rows(mixed, CAT_DOG) == [
        ("test", "cat", "cat.1"),
        ("test", None, "me"),
        ("test", None, "wolf.2"),
    ]


def test_predicting_on_competition_data_means_its_test_images(tmp_path):
    data = tiny.kaggle(tmp_path / "data", train=2, test=2)
    assert rows(data, CAT_DOG) == KAGGLE[:2]
    shutil.rmtree(data / "train")
    assert rows(data, CAT_DOG) == KAGGLE[:2]
    assert rows(tiny.zipped(data), CAT_DOG) == KAGGLE[:2]
    listed = tiny.csv_list(tmp_path / "listed", train=2, test=2)
    assert [label for _, label, _ in rows(listed, CAT_DOG)] == [None, None]


def test_predicting_on_class_folders_and_on_others(tmp_path):
    both = tiny.class_folders(tmp_path / "both", each=1)
    assert rows(both, CAT_DOG) == [("test", "cat", "cat/0"), ("test", "dog", "dog/0")]
    assert rows(both / "cat", CAT_DOG) == [("test", None, "0")]
    shutil.rmtree(both / "dog")
    assert rows(both, CAT_DOG) == [("test", "cat", "cat/0")]
    other = touch(tmp_path / "other", "holiday/cat.1.jpg", "2.jpg")
    assert rows(other, CAT_DOG) == [("test", None, "2"), ("test", None, "holiday/cat.1")]


def test_predicting_on_train_and_valid_without_test_keeps_ids_apart(tmp_path):
    data = tiny.image_folder(tmp_path / "data", train=1, valid=1, test=0)
    found = rows(data, CAT_DOG)
    assert [(split, label) for split, label, _ in found] == [("test", "cat"), ("test", "dog")] * 2
    assert [id for *_, id in found] == [
        "train/cat/0.jpg",
        "train/dog/0.jpg",
        "valid/cat/0.jpg",
        "valid/dog/0.jpg",
    ]


def test_the_extension_stays_only_where_two_would_clash(tmp_path):
    data = touch(
        tmp_path, "train/cat.1.jpg", "train/cat.1.png", "train/cat.2.jpg", "test/cat.1.jpg"
    )
    assert [(split, id) for split, _, id in rows(data)] == [
        ("test", "cat.1"),
        ("train", "cat.1.jpg"),
        ("train", "cat.1.png"),
        ("train", "cat.2"),
    ]


@settings(max_examples=50)
@given(
    st.lists(
        st.text("ab.", min_size=1, max_size=5).filter(lambda name: name[0] != "."),
        min_size=1,
        max_size=12,
        unique=True,
    )
)
def test_ids_are_unique_whatever_the_names(names):
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for name in names:  # what has no suffix of an image is one by how it begins
            tiny.put(data / "x" / name, b"\xff\xd8\xff")
        found = find_images(data, CAT_DOG).images
    assert len(found) == len(names)
    assert found["id"].is_unique
    assert found["id"].is_monotonic_increasing


def test_names_from_strangers(tmp_path):
    data = tmp_path / "data"
    names = [b"a\nb.1.jpg", b"caf\xc3\xa9.2.jpg", b"\xff\xfe.3.jpg", b"\xff\xfd.4.jpg", b" .5.jpg"]
    for name in names:
        tiny.put(data / "train" / os.fsdecode(name), b"x")
    found = find_images(data).images
    assert set(found["id"]) == {"a\nb.1", "café.2", r"\udcff\udcfe.3", r"\udcff\udcfd.4", " .5"}
    assert {os.fsencode(path) for path in found["path"]} == {b"train/" + name for name in names}


def test_what_is_no_image_is_counted_and_passed_over(tmp_path):
    data = tiny.kaggle(tmp_path / "data", train=1, test=0)
    touch(data / "train", "Thumbs.db", ".DS_Store", "notes.txt", "__MACOSX/._cat.0.jpg")
    touch(data / "train", ".hidden/cat.5.jpg")
    assert rows(data) == [("train", "cat", "cat.0"), ("train", "dog", "dog.0")]
    assert find_images(data).ignored == 5


def test_all_images_are_listed_without_labels(tmp_path):
    data = tiny.image_folder(tmp_path / "data", train=1, valid=0, test=1)
    listing = all_images(data)
    assert listing.images["path"].tolist() == [
        "test/cat/0.jpg",
        "test/dog/0.jpg",
        "train/cat/0.jpg",
        "train/dog/0.jpg",
    ]
    assert listing.images["label"].isna().all()
    with pytest.raises(UserError, match="nowhere"):
        all_images(tmp_path / "nowhere")


def test_missing_empty_and_strange_data_is_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no images" in refusal(empty)
    assert "no images" in refusal(empty, CAT_DOG)
    assert "give a folder, a CSV" in refusal(touch(tmp_path, "film.mp4") / "film.mp4")
    assert "cannot be read" in refusal(tmp_path / "a\0b")
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))


@pytest.mark.parametrize("closed", ["train", "data"])
def test_a_folder_that_cannot_be_listed_is_refused(tmp_path, monkeypatch, closed):
    # Permissions do not hold for root, so the system's refusal is made up.
    data = tiny.kaggle(tmp_path / "data", train=1, test=0)
    if closed == "data":
        data = tiny.class_folders(tmp_path / "data", each=1)
        shutil.rmtree(data / "train")
    folder = str(data / closed) if closed == "train" else str(data)
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path) == folder:
            raise PermissionError(13, "Permission denied", folder)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    message = refusal(data)
    assert folder in message and "Permission denied" in message


def test_data_behind_a_closed_folder_is_refused(tmp_path, monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", refuse)
    assert "Permission denied" in refusal(tmp_path / "data")
