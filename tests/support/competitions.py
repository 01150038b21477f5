"""Miniatures of competitions' downloads, as they are unpacked or packed there."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from tests.support.made_files import above, drawn, flat, photo, write


def aptos(d: Path) -> None:
    ids = [f"{k:012x}" for k in range(30)]
    flat(d / "train_images", [f"{i}.png" for i in ids])
    write(d / "train.csv", ("id_code", "diagnosis"), [(i, k % 5) for k, i in enumerate(ids)])
    tests = [f"f{k:011x}" for k in range(7)]
    flat(d / "test_images", [f"{i}.png" for i in tests])
    write(d / "test.csv", ("id_code",), [(i,) for i in tests])
    write(d / "sample_submission.csv", ("id_code", "diagnosis"), [(i, 0) for i in tests])


def plant_pathology_2020(d: Path) -> None:
    kinds = ("healthy", "multiple_diseases", "rust", "scab")
    rows = []
    for k in range(24):
        photo(d / f"images/Train_{k}.jpg")
        rows.append((f"Train_{k}", *[int(k % 4 == c) for c in range(4)]))
    write(d / "train.csv", ("image_id", *kinds), rows)
    flat(d / "images", [f"Test_{k}.jpg" for k in range(6)])
    write(d / "test.csv", ("image_id",), [(f"Test_{k}",) for k in range(6)])
    write(
        d / "sample_submission.csv",
        ("image_id", *kinds),
        [(f"Test_{k}", *[0.25] * 4) for k in range(6)],
    )


def plant_pathology_2021(d: Path) -> None:
    kinds = ("healthy", "scab frog_eye_leaf_spot", "scab", "rust frog_eye_leaf_spot", "complex")
    flat(d / "train_images", [f"{k:x}.jpg" for k in range(20)])
    write(d / "train.csv", ("image", "labels"), [(f"{k:x}.jpg", kinds[k % 5]) for k in range(20)])
    flat(d / "test_images", ["85f8cb619c66b863.jpg"])
    write(d / "sample_submission.csv", ("image", "labels"), [("85f8cb619c66b863.jpg", "healthy")])


def planet(d: Path) -> None:
    tags = ("haze primary", "clear primary water", "clear water", "haze water")
    flat(d / "train-jpg", [f"train_{k}.jpg" for k in range(12)])
    write(
        d / "train_v2.csv", ("image_name", "tags"), [(f"train_{k}", tags[k % 4]) for k in range(12)]
    )


def cactus(d: Path) -> None:
    names = [f"{k:032x}.jpg" for k in range(20)]
    for part, some in (("train", names[:14]), ("test", names[14:])):
        with zipfile.ZipFile(above(d / f"{part}.zip"), "w") as archive:
            for name in some:
                archive.writestr(f"{part}/{name}", drawn("cat") + name.encode())
    write(d / "train.csv", ("id", "has_cactus"), [(n, k % 2) for k, n in enumerate(names[:14])])
    write(d / "sample_submission.csv", ("id", "has_cactus"), [(n, 0.5) for n in names[14:]])


def leaf(d: Path) -> None:
    margins = [f"margin{k}" for k in range(1, 65)]
    flat(d / "images", [f"{k}.jpg" for k in range(1, 31)])
    rows = [(k, f"Acer_{k % 5}", *[f"0.00{m}1" for m in range(64)]) for k in range(1, 21)]
    write(d / "train.csv", ("id", "species", *margins), rows)
    write(d / "test.csv", ("id", *margins), [(k, *["0.0078"] * 64) for k in range(21, 31)])
    kinds = [f"Acer_{k}" for k in range(5)]
    write(d / "sample_submission.csv", ("id", *kinds), [(k, *[0.2] * 5) for k in range(21, 31)])


def dogs_vs_cats(d: Path) -> None:
    for part, names in (
        ("train", [f"{c}.{k}.jpg" for c in ("cat", "dog") for k in range(8)]),
        ("test1", [f"{k}.jpg" for k in range(1, 7)]),
    ):
        with zipfile.ZipFile(above(d / f"{part}.zip"), "w") as archive:
            for name in names:
                archive.writestr(f"{part}/{name}", drawn(name[:3]) + f"{part}{name}".encode())
    write(d / "sampleSubmission.csv", ("id", "label"), [(k, 0) for k in range(1, 7)])


def ranzcr(d: Path) -> None:
    kinds = ("ETT - Abnormal", "ETT - Normal", "NGT - Abnormal", "CVC - Normal")
    uids = [f"1.2.826.{k}" for k in range(12)]
    flat(d / "train", [f"{u}.jpg" for u in uids])
    rows = [(u, k % 2, 1, 0, int(k % 3 == 0), f"p{k % 4}") for k, u in enumerate(uids)]
    write(d / "train.csv", ("StudyInstanceUID", *kinds, "PatientID"), rows)
    flat(d / "test", ["1.2.826.99.jpg"])
    write(d / "sample_submission.csv", ("StudyInstanceUID", *kinds), [("1.2.826.99", 0, 0, 0, 0)])


def melanoma(d: Path) -> None:
    header = (
        "image_name",
        "patient_id",
        "sex",
        "age_approx",
        "anatom_site_general_challenge",
        "diagnosis",
        "benign_malignant",
        "target",
    )
    rows = []
    for k in range(24):
        photo(d / f"jpeg/train/ISIC_{k:07d}.jpg")
        bad = k % 6 == 0
        rows.append(
            (
                f"ISIC_{k:07d}",
                f"IP_{k % 8}",
                "male",
                "45.0",
                "torso",
                "melanoma" if bad else ("nevus", "unknown")[k % 2],
                "malignant" if bad else "benign",
                int(bad),
            )
        )
    flat(d / "jpeg/test", [f"ISIC_9{k:06d}.jpg" for k in range(5)])
    for part in ("train", "test"):
        (above(d / part / "ISIC_1.dcm")).write_bytes(b"\0" * 128 + b"DICM")
    write(d / "train.csv", header, rows)
    write(
        d / "test.csv",
        header[:5],
        [(f"ISIC_9{k:06d}", "IP_9", "male", "70.0", "torso") for k in range(5)],
    )
    write(
        d / "sample_submission.csv",
        ("image_name", "target"),
        [(f"ISIC_9{k:06d}", 0) for k in range(5)],
    )


def statoil(d: Path) -> None:
    for part in ("train", "test"):
        above(d / f"{part}.json").write_text(
            json.dumps([{"id": "a", "band_1": [0.0], "is_iceberg": 0}])
        )
    write(d / "sample_submission.csv", ("id", "is_iceberg"), [("a", 0.5)])


def whale(d: Path, ranked: bool = True) -> None:
    names = [f"{k:08x}.jpg" for k in range(24)]
    flat(d / "train", names)
    write(
        d / "train.csv",
        ("Image", "Id"),
        [
            (n, "new_whale" if k < 8 else f"w_{k // 2 if k < 16 else k}")
            for k, n in enumerate(names)
        ],
    )
    tests = [f"a{k:07x}.jpg" for k in range(4)]
    flat(d / "test", tests)
    guess = "new_whale w_23a388d w_9b5109b w_9c506f6 w_0369a5c" if ranked else "new_whale"
    write(d / "sample_submission.csv", ("Image", "Id"), [(n, guess) for n in tests])


def petfinder(d: Path) -> None:
    bits = ("Subject Focus", "Eyes", "Face", "Near")
    ids = [f"{k:032x}" for k in range(24)]
    flat(d / "train", [f"{i}.jpg" for i in ids])
    write(
        d / "train.csv",
        ("Id", *bits, "Pawpularity"),
        [(i, 0, 1, k % 2, 1, 10 + 3 * k) for k, i in enumerate(ids)],
    )
    flat(d / "test", ["4128bae22183829d2b5fea10effdb0c3.jpg"])
    write(
        d / "sample_submission.csv",
        ("Id", "Pawpularity"),
        [("4128bae22183829d2b5fea10effdb0c3", "65.41")],
    )


def invasive(d: Path) -> None:
    write(d / "train_labels.csv", ("name", "invasive"), [(k, k % 2) for k in range(1, 9)])
    above(d / "train.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    above(d / "test.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    write(d / "sample_submission.csv", ("name", "invasive"), [(1, 0.5)])


def invasive_unpacked(d: Path) -> None:
    invasive(d)
    flat(d / "train", [f"{k}.jpg" for k in range(1, 9)])
    flat(d / "test", ["1.jpg"], "dog")


def denoising(d: Path) -> None:
    for part in ("train", "train_cleaned", "test"):
        flat(d / part, [f"{k}.png" for k in range(2, 8)])
