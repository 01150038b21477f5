"""Miniatures of data sets whose labels or splits lie in text files, or whose folders are nested."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import md5
from pathlib import Path

from tests.support.made_files import above, folders, photo, write

SYNSETS = ("n01443537", "n01629819", "n01641577")


def lines(path: Path, rows: Iterable[str]) -> None:
    above(path).write_text("".join(f"{row}\n" for row in rows))


def cub(d: Path) -> None:
    at = d / "CUB_200_2011"
    names = [f"{c:03d}.Bird_{c}/Bird_{k}_{c}.jpg" for c in range(1, 5) for k in range(6)]
    for name in names:
        photo(at / "images" / name)
    lines(at / "images.txt", (f"{n} {name}" for n, name in enumerate(names, 1)))
    lines(at / "train_test_split.txt", (f"{n} {int(n % 6 < 3)}" for n in range(1, 25)))
    lines(at / "image_class_labels.txt", (f"{n} {(n + 5) // 6}" for n in range(1, 25)))
    lines(at / "classes.txt", (f"{c} {c:03d}.Bird_{c}" for c in range(1, 5)))
    lines(at / "bounding_boxes.txt", (f"{n} 60.0 27.0 325.0 304.0" for n in range(1, 25)))
    lines(d / "attributes.txt", ["1 has_bill_shape::curved"])


def cub_without_names(d: Path) -> None:
    cub(d)
    (d / "CUB_200_2011/images.txt").unlink()


def oxford_pets(d: Path) -> None:
    rows = [
        f"{breed}_{k} {c} {1 + (c == 2)} {c}"
        for c, breed in enumerate(("Abyssinian", "beagle", "Bengal"), 1)
        for k in range(8)
    ]
    for row in rows:
        photo(d / f"images/{row.split()[0]}.jpg")
        photo(d / f"annotations/trimaps/{row.split()[0]}.png")
    lines(d / "annotations/list.txt", ["#Image CLASS-ID SPECIES BREED ID", *rows])
    lines(d / "annotations/trainval.txt", (row for n, row in enumerate(rows) if n % 8 < 5))
    lines(d / "annotations/test.txt", (row for n, row in enumerate(rows) if n % 8 >= 5))


def tiny_imagenet(d: Path) -> None:
    at = d / "tiny-imagenet-200"
    for w in SYNSETS:
        for k in range(6):
            photo(at / f"train/{w}/images/{w}_{k}.JPEG", w)
        lines(at / f"train/{w}/{w}_boxes.txt", (f"{w}_{k}.JPEG\t0\t0\t62\t63" for k in range(6)))
    for k in range(9):
        photo(at / f"val/images/val_{k}.JPEG", SYNSETS[k % 3])
    rows = (f"val_{k}.JPEG\t{SYNSETS[k % 3]}\t0\t32\t44\t62" for k in range(9))
    lines(at / "val/val_annotations.txt", rows)
    for k in range(4):
        photo(at / f"test/images/test_{k}.JPEG")
    lines(at / "wnids.txt", SYNSETS)


def textures(d: Path) -> None:
    names = [f"{kind}/{kind}_{k:04d}.jpg" for kind in ("banded", "dotted") for k in range(9)]
    for name in names:
        photo(d / "dtd/images" / name)
    for number in (1, 2, 10):
        for place, part in enumerate(("train", "val", "test")):
            some = (name for n, name in enumerate(names) if (n + number) % 3 == place)
            lines(d / f"dtd/labels/{part}{number}.txt", some)


def celeba(d: Path, text: bool = False) -> None:
    names = [f"{k:06d}.jpg" for k in range(1, 25)]
    for name in names:
        photo(d / "img_align_celeba/img_align_celeba" / name)
    header = ("Smiling", "Male", "Young")
    rows = [(name, 1 if n % 2 else -1, 1 if n % 3 else -1, 1) for n, name in enumerate(names)]
    parts = [(name, (0, 0, 0, 1, 2, 2)[n // 4]) for n, name in enumerate(names)]
    if text:
        some = ["24", " ".join(header), *("  ".join(map(str, row)) for row in rows)]
        lines(d / "Anno/list_attr_celeba.txt", some)
        lines(d / "Eval/list_eval_partition.txt", (f"{name} {part}" for name, part in parts))
    else:
        write(d / "list_attr_celeba.csv", ("image_id", *header), rows)
        write(d / "list_eval_partition.csv", ("image_id", "partition"), parts)
        boxes = [(name, 95, 71, 226, 313) for name in names]
        write(d / "list_bbox_celeba.csv", ("image_id", "x_1", "y_1", "width", "height"), boxes)


def garbage(d: Path) -> None:
    kinds = ("glass", "metal", "paper")
    folders(d / "Garbage classification/Garbage classification", kinds, 8)
    for part, some in (("train", range(5)), ("val", range(5, 6)), ("test", range(6, 8))):
        rows = (f"{kind[:3]}_{k}.jpg {c}" for c, kind in enumerate(kinds, 1) for k in some)
        lines(d / f"one-indexed-files-notrash_{part}.txt", rows)


def numbered_classes(d: Path) -> None:
    for k in range(18):
        photo(d / f"JPEGImages/{k:05d}.jpg")
    for part, some in (("train", range(12)), ("val", range(12, 18))):
        lines(d / f"{part}.txt", (f"JPEGImages/{k:05d}.jpg {k % 3}" for k in some))


def torn_lists(d: Path) -> None:
    folders(d / "images", ("a_b", "c_d"), 6)
    lines(d / "train.txt", (f"a_b/a_b_{k}.jpg" for k in range(6)))
    lines(d / "test.txt", (f"a_b/a_b_{k}.jpg" for k in range(5, 6)))


def species(d: Path) -> None:
    for name in ("Aves/Ardea alba", "Aves/Buteo", "Mammalia/Felis", "Mammalia/Lepus"):
        folders(d / "train_val_images", (name,), 5)


def scenes(d: Path) -> None:
    folders(d / "SUN397", ("a/abbey", "a/airport", "b/bakery", "z/zoo"), 5)


def landmarks(d: Path) -> None:
    names = [md5(str(k).encode()).hexdigest()[:16] for k in range(30)]
    for name in names:
        photo(d / f"train/{name[0]}/{name[1]}/{name[2]}/{name}.jpg")
    rows = [(name, 100 + k % 3) for k, name in enumerate(names)]
    write(d / "train.csv", ("id", "landmark_id"), rows)
