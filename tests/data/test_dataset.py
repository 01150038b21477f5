"""The images table: read once, split by class and seed, bad images named, source untouched."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data import dataset as module
from engine.data.dataset import (
    Dataset,
    duplicates,
    load_dataset,
    load_images,
)
from engine.data.formats import Unreadable
from engine.data.images import decode
from engine.data.listing import Listing
from engine.data.splits import stratified
from engine.errors import UserError
from tests.support import tiny_images as tiny


def reasons(dataset: Dataset) -> dict[str, str]:
    return dict(zip(dataset.quarantine["path"], dataset.quarantine["reason"], strict=True))


def counts(images: pd.DataFrame) -> dict[tuple[str, str], int]:
    return dict(Counter(zip(images["split"], images["label"].fillna("-"), strict=True)))


def refusal(data: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        load_dataset(data, **options)
    message = str(caught.value)
    assert str(data) in message and "\n" not in message and message.endswith(".")
    return message


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time of change and content of everything below a folder."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        about = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (about.st_mode, about.st_mtime_ns, content)
    return found


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Return a function that makes a data set of so many labelled images which need not exist."""

    def examine(listing: Listing, progress: object = None) -> Dataset:
        frame = listing.images
        images = frame.assign(width=1, height=1, bytes=1, sha256=frame["path"])
        empty = pd.DataFrame(columns=module.QUARANTINE_COLUMNS, dtype=object)
        return Dataset(listing.root, images, empty, (), listing.origin)

    monkeypatch.setattr(module, "examine", examine)

    def make(sizes: dict[str, int], test: int = 0) -> Path:
        lines = [f"{label}.{n}.jpg,{label}" for label, size in sizes.items() for n in range(size)]
        lines += [f"{n}.jpg," for n in range(test)]
        file = tmp_path / "list.csv"
        file.write_text("path,label\n" + "\n".join(lines) + "\n")
        return file

    return make


def test_the_table_says_what_the_files_are(tmp_path):
    data = tiny.kaggle(tmp_path / "data", train=5, test=1)
    dataset = load_dataset(data, valid=2)
    assert list(dataset.images.columns) == module.IMAGES_COLUMNS
    assert dataset.class_names == ("cat", "dog")
    assert counts(dataset.images) == {
        ("train", "cat"): 4,
        ("train", "dog"): 4,
        ("valid", "cat"): 1,
        ("valid", "dog"): 1,
        ("test", "-"): 1,
    }
    first = dataset.images.set_index("id").loc["cat.0"]
    content = (data / first["path"]).read_bytes()
    assert (first["width"], first["height"], first["bytes"]) == (40, 30, len(content))
    assert first["sha256"] == module.hashlib.sha256(content).hexdigest()
    assert dataset.of("train")["id"].is_monotonic_increasing


def test_the_tutorials_split_is_exact(listed):
    images = load_dataset(listed({"cat": 12_500, "dog": 12_500}, test=3)).images
    assert counts(images) == {
        ("train", "cat"): 11_500,
        ("train", "dog"): 11_500,
        ("valid", "cat"): 1_000,
        ("valid", "dog"): 1_000,
        ("test", "-"): 3,
    }
    assert images["id"].is_unique


def test_a_smaller_set_holds_out_a_fifth_in_proportion(listed):
    images = load_dataset(listed({"cat": 50, "dog": 30, "owl": 20})).images
    assert counts(images[images["split"] == "valid"]) == {
        ("valid", "cat"): 10,
        ("valid", "dog"): 6,
        ("valid", "owl"): 4,
    }


def test_the_rehearsal_takes_200_and_50_and_keeps_every_class(listed):
    images = load_dataset(
        listed({"cat": 3_000, "dog": 2_000, "owl": 6}, test=4), sample=True
    ).images
    found = counts(images)
    assert Counter(images["split"]) == {"train": 200, "valid": 50, "test": 4}
    assert found["train", "owl"] >= 1 and found["valid", "owl"] >= 1
    assert found["train", "cat"] / found["train", "dog"] == pytest.approx(1.5, abs=0.05)


def test_the_rehearsal_of_a_small_set_is_the_set(listed):
    file = listed({"cat": 30, "dog": 30})
    assert counts(load_dataset(file, sample=True).images) == counts(load_dataset(file).images)


def test_a_class_with_one_image_keeps_it_for_training(listed):
    images = load_dataset(listed({"cat": 9, "dog": 9, "owl": 1}), valid=16).images
    assert counts(images) == {
        ("train", "cat"): 1,
        ("train", "dog"): 1,
        ("train", "owl"): 1,
        ("valid", "cat"): 8,
        ("valid", "dog"): 8,
    }


@pytest.mark.parametrize("valid", [0, -1, 9, 10, 11])
def test_a_validation_set_that_leaves_a_class_nothing_is_refused(listed, valid):
    file = listed({"cat": 5, "dog": 5})
    assert f"valid={valid} must lie between 1 and 8: " in refusal(file, valid=valid)


def test_split_depends_on_the_seed_and_not_on_the_order(listed):
    file = listed({"cat": 40, "dog": 60})
    once, again = load_dataset(file, seed=1), load_dataset(file, seed=1)
    head, *lines = file.read_text().splitlines()
    file.write_text("\n".join([head, *reversed(lines)]) + "\n")
    turned, other = load_dataset(file, seed=1), load_dataset(file, seed=2)
    held_out = [set(dataset.of("valid")["id"]) for dataset in (once, again, turned, other)]
    assert held_out[0] == held_out[1] == held_out[2] != held_out[3]
    assert once.fingerprint == turned.fingerprint != other.fingerprint


@settings(max_examples=50)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.integers(0, sum(sizes) - len(sizes)))
    ),
    st.randoms(use_true_random=False),
)
def test_stratified_choice_is_proportional_exact_and_orderless(drawn, random):
    sizes, size = drawn
    labels = [f"class{c}" for c, count in enumerate(sizes) for _ in range(count)]
    ids = [f"{n:03}" for n in range(len(labels))]
    rows = pd.DataFrame({"id": ids, "path": ids, "label": labels})
    chosen = rows.loc[stratified(rows, size, 5)]
    assert len(chosen) == size
    taken = Counter(chosen["label"])
    exact = [count * size / len(rows) for count in sizes]
    full = any(taken[f"class{c}"] == count - 1 for c, count in enumerate(sizes))
    for c, count in enumerate(sizes):
        assert taken[f"class{c}"] < count
        assert full or abs(taken[f"class{c}"] - exact[c]) < 1
    order = list(range(len(rows)))
    random.shuffle(order)
    mixed = rows.iloc[order].reset_index(drop=True)
    assert set(mixed.loc[stratified(mixed, size, 5), "id"]) == set(chosen["id"])


def test_a_valid_folder_is_taken_as_it_is(tmp_path):
    data = tiny.image_folder(tmp_path / "data", train=3, valid=2, test=1)
    assert counts(load_dataset(data).images) == {
        ("train", "cat"): 3,
        ("train", "dog"): 3,
        ("valid", "cat"): 2,
        ("valid", "dog"): 2,
        ("test", "cat"): 1,
        ("test", "dog"): 1,
    }
    assert "valid=2" in refusal(data, valid=2)


def test_folders_in_test_that_are_no_class_give_no_label(tmp_path):
    data = tiny.kaggle(tmp_path / "data", train=3, test=0)
    tiny.put(data / "test" / "images" / "1.jpg", tiny.image_bytes("cat", 99))
    assert load_dataset(data).of("test")["label"].tolist() == [None]


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: tiny.kaggle(folder),
        lambda folder: tiny.zipped(tiny.kaggle(folder)),
        lambda folder: tiny.csv_list(folder, train=6).parent,
    ],
    ids=["kaggle", "zip", "csv"],
)
def test_nothing_in_the_source_changes(tmp_path, make):
    folder = make(tmp_path / "data")
    data = folder / "images.csv" if (folder / "images.csv").exists() else folder
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = snapshot(folder)
    dataset = load_dataset(data, sample=True)
    load_images(data, dataset.class_names)
    assert len(dataset.images) == 16
    assert snapshot(folder) == before
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that says how large it is, and then holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


def test_bad_images_are_quarantined_with_their_reasons(tmp_path):
    data = tiny.kaggle(tmp_path / "data")
    half = tiny.image_bytes("cat", 50, size=(400, 300))
    bad = {
        "train/cat.20.jpg": (b"", "empty"),
        "train/cat.21.jpg": (b"<html>not found</html>", "not an image"),
        "train/dog.22.jpg": (png_header(10_100, 10_000), "100 megapixels"),
        "train/photo.jpg": (tiny.image_bytes("dog", 51), "no label"),
        "test/5.jpg": (half[:10], "cannot be decoded"),
    }
    for path, (content, _) in bad.items():
        tiny.put(data / path, content)
    tiny.put(data / "train" / "cat.30.jpg", half[: len(half) // 2])
    tiny.put(data / "train" / "cat.31.jpg", tiny.image_bytes("cat", 52, format="PNG"))
    (data / "train" / "dog.32.jpg").symlink_to(data / "gone.jpg")
    os.mkfifo(data / "train" / "dog.33.jpg")
    tiny.put(data / "train" / os.fsdecode(b"dog\xff.34.jpg"), tiny.image_bytes("dog", 53))
    dataset = load_dataset(data)
    found = reasons(dataset)
    for path, (_, reason) in bad.items():
        assert reason in found[path]
    assert "No such file" in found["train/dog.32.jpg"]
    assert found["train/dog.33.jpg"] == "cannot be read (it is not a regular file)"
    assert "UTF-8" in found[r"train/dog\udcff.34.jpg"]
    assert len(found) == len(bad) + 3
    assert list(dataset.quarantine.columns) == module.QUARANTINE_COLUMNS
    kept = set(dataset.images["path"])
    assert not kept & set(found)
    assert {"train/cat.30.jpg", "train/cat.31.jpg"} <= kept
    # A whole header is no proof: only decoding finds the half image.
    with pytest.raises(Unreadable, match="cut short"):
        decode((data / "train/cat.30.jpg").read_bytes())


def test_without_moves_images_and_keeps_what_is_known_of_them(tmp_path):
    dataset = load_dataset(tiny.kaggle(tmp_path / "data"))
    after = dataset.without({"test/2.jpg": "torn", "train/cat.3.jpg": "burnt"})
    assert reasons(after) == {"test/2.jpg": "torn", "train/cat.3.jpg": "burnt"}
    assert after.quarantine["id"].tolist() == ["2", "cat.3"]
    assert after.quarantine["label"].tolist() == [None, "cat"]
    assert len(after.images) == len(dataset.images) - 2
    assert dataset.quarantine.empty
    assert dataset.without({}) is dataset


def test_ignored_files_are_counted_and_the_first_of_each_kind_is_named(tmp_path):
    data = tiny.kaggle(tmp_path / "data")
    files = ("Thumbs.db", ".DS_Store", "__MACOSX/._cat.0.jpg", "b.mat", "a.mat", "notes.md")
    for name in files:
        tiny.put(data / "train" / name, b"x")
    dataset = load_dataset(data)
    assert dataset.ignored == 6
    assert set(dataset.origin.ignored_lines) == {
        "hidden files: train/.DS_Store", "thumbnails: train/Thumbs.db",
        "system files: train/__MACOSX", "not images: train/notes.md",
        "files of kinds that are not read: train/a.mat and 1 more",
    }  # fmt: skip
    assert dataset.quarantine.empty


def test_duplicates_across_splits_or_labels_are_reported(tmp_path):
    data = tiny.image_folder(tmp_path / "data", train=3, valid=2, test=1)
    twin = (data / "train" / "cat" / "0.jpg").read_bytes()
    tiny.put(data / "train" / "dog" / "8.jpg", twin)
    tiny.put(data / "test" / "dog" / "0.jpg", (data / "valid" / "dog" / "1.jpg").read_bytes())
    inside = (data / "train" / "dog" / "1.jpg").read_bytes()
    tiny.put(data / "train" / "dog" / "9.jpg", inside)  # the same split and label: no harm
    assert duplicates(load_dataset(data).images) == [
        {
            "paths": ["test/dog/0.jpg", "valid/dog/1.jpg"],
            "splits": ["test", "valid"],
            "labels": ["dog"],
        },
        {
            "paths": ["train/cat/0.jpg", "train/dog/8.jpg"],
            "splits": ["train"],
            "labels": ["cat", "dog"],
        },
    ]


def test_the_fingerprint_follows_content_and_labels_only(tmp_path):
    dataset = load_dataset(tiny.kaggle(tmp_path / "data"))
    images = dataset.images
    turned = Dataset(tmp_path, images.iloc[::-1].reset_index(drop=True), dataset.quarantine, ())
    assert turned.fingerprint == dataset.fingerprint
    for column in ("id", "split", "label", "sha256"):
        other = images.copy()
        other.loc[3, column] = "other"
        changed = Dataset(dataset.root, other, dataset.quarantine, dataset.class_names)
        assert changed.fingerprint != dataset.fingerprint


def test_one_class_or_none_is_refused(tmp_path):
    one = tiny.kaggle(tmp_path / "one", classes=("cat",))
    assert "'cat'" in refusal(one)
    none = tmp_path / "none"
    tiny.put(none / "train" / "a.jpg", tiny.image_bytes("cat"))
    assert "no labelled image" in refusal(none)
    broken = tmp_path / "broken"
    tiny.put(broken / "train" / "cat.0.jpg", b"")
    tiny.put(broken / "train" / "dog.0.jpg", b"")
    assert "no labelled image" in refusal(broken)


def test_images_to_predict_are_all_test_and_know_their_classes(tmp_path):
    data = tiny.flat(tmp_path / "data", labelled=1, unlabelled=1)
    tiny.put(data / "wolf.1.jpg", tiny.image_bytes("wolf"))
    tiny.put(data / "cat.9.jpg", b"")
    dataset = load_images(data, ("cat", "dog"))
    assert set(dataset.images["split"]) == {"test"}
    labels = dict(zip(dataset.images["id"], dataset.images["label"], strict=True))
    assert labels == {"cat.0": "cat", "dog.0": "dog", "photo0": None, "wolf.1": None}
    assert dataset.class_names == ("cat", "dog")
    assert reasons(dataset) == {"cat.9.jpg": "the file is empty"}
    only_bad = tmp_path / "bad"
    tiny.put(only_bad / "1.jpg", b"")
    with pytest.raises(UserError, match="no image that can be read"):
        load_images(only_bad, ("cat", "dog"))


def test_progress_ends_at_the_number_of_images(tmp_path):
    calls: list[tuple[str, int, int]] = []
    load_dataset(
        tiny.kaggle(tmp_path / "data", train=5, test=3), progress=lambda *call: calls.append(call)
    )
    assert calls[-1] == ("list", 13, 13)


def test_real_images_are_read_as_they_are(real_data):
    dataset = load_images(real_data / "odd", ("cat", "dog"))
    found = reasons(dataset)
    assert set(found) == {"text.jpg", "zero_bytes.jpg"}
    turned = dataset.images.set_index("id").loc["exif6_dog"]
    decoded = decode((real_data / "odd" / "exif6_dog.jpg").read_bytes())
    assert tuple(decoded.shape) == (3, turned["height"], turned["width"])
    assert np.all(dataset.images["sha256"].str.len() == 64)
