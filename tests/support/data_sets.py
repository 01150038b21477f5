"""Miniatures of published data sets, and of folders that may be read in two ways."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.support.made_files import above, flat, folders, photo, write


def brain_mri(d: Path) -> None:
    kinds = ("glioma", "meningioma", "notumor", "pituitary")
    folders(d / "Training", kinds, 6, "Tr-")
    folders(d / "Testing", kinds, 3, "Te-")


def chest_xray(d: Path) -> None:
    for at in (d / "chest_xray", d / "chest_xray/chest_xray"):
        for part, n in (("train", 8), ("val", 2), ("test", 4)):
            folders(at / part, ("NORMAL", "PNEUMONIA"), n)
            (above(at / part / ".DS_Store")).write_bytes(b"x")
    above(d / "chest_xray/__MACOSX/chest_xray/._train").write_bytes(b"x")
    above(d / "chest_xray/__MACOSX/chest_xray/train/NORMAL/._1.jpeg").write_bytes(b"x")


def stanford_cars(d: Path) -> None:
    flat(d / "cars_train/cars_train", [f"{k:05d}.jpg" for k in range(1, 9)])
    flat(d / "cars_test/cars_test", [f"{k:05d}.jpg" for k in range(1, 5)])
    above(d / "car_devkit/devkit/cars_train_annos.mat").write_bytes(b"MATLAB 5.0")


def stanford_cars_folders(d: Path) -> None:
    makes = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "FIAT 500 Abarth 2012")
    folders(d / "car_data/car_data/train", makes, 6)
    folders(d / "car_data/car_data/test", makes, 2)
    write(d / "names.csv", (makes[0],), [(make,) for make in makes[1:]])
    write(
        d / "anno_train.csv", ("AM _0.jpg", 39, 116, 569, 375, 1), [("AM _1.jpg", 36, 1, 2, 3, 1)]
    )


def caltech(d: Path) -> None:
    folders(d / "caltech101/101_ObjectCategories", ("BACKGROUND_Google", "Faces", "yin_yang"), 6)
    above(d / "caltech101/Annotations/Faces_2/annotation_0001.mat").write_bytes(b"MATLAB 5.0")


def cifar(d: Path) -> None:
    kinds = ("airplane", "bicycle", "bus", "streetcar", "train")
    folders(d / "cifar100/train", kinds, 6)
    folders(d / "cifar100/test", kinds, 2)


def vehicles(d: Path) -> None:
    folders(d, ("airplane", "bus", "train"), 6)


def stations(d: Path) -> None:
    folders(d, ("airport", "kitchen", "train_station"), 6)


def fashion(d: Path) -> None:
    rows = [
        (
            10000 + k,
            ("Men", "Women")[k % 2],
            ("Apparel", "Footwear", "Accessories")[k % 3],
            f"Item {k}",
        )
        for k in range(18)
    ]
    flat(d / "images", [f"{row[0]}.jpg" for row in rows])
    write(d / "styles.csv", ("id", "gender", "masterCategory", "productDisplayName"), rows)
    write(
        d / "images.csv",
        ("filename", "link"),
        [(f"{row[0]}.jpg", f"http://x/{row[0]}") for row in rows],
    )


def food101(d: Path) -> None:
    kinds = ("apple_pie", "sushi", "waffles")
    for kind in kinds:
        flat(d / f"food-101/images/{kind}", [f"{k}.jpg" for k in range(100, 110)], kind)
    for part, some in (("train", range(100, 107)), ("test", range(107, 110))):
        lines = [f"{kind}/{k}" for kind in kinds for k in some]
        above(d / f"food-101/meta/{part}.txt").write_text("\n".join(lines) + "\n")
        above(d / f"food-101/meta/{part}.json").write_text("{}")
    above(d / "food-101/meta/classes.txt").write_text("\n".join(kinds))


def eurosat(d: Path) -> None:
    kinds = ("AnnualCrop", "Forest", "River")
    rows: dict[str, list[tuple[object, ...]]] = {"train": [], "validation": [], "test": []}
    for c, kind in enumerate(kinds):
        for k in range(10):
            photo(d / f"EuroSAT/{kind}/{kind}_{k}.jpg", kind)
            part = "train" if k < 7 else "validation" if k < 9 else "test"
            rows[part].append((len(rows[part]), f"{kind}/{kind}_{k}.jpg", c, kind))
    for part, some in rows.items():
        write(d / f"EuroSAT/{part}.csv", ("", "Filename", "Label", "ClassName"), some)
    above(d / "EuroSAT/label_map.json").write_text("{}")


def eurosat_both(d: Path) -> None:
    for at in ("EuroSAT", "EuroSATallBands"):
        folders(d / at, ("AnnualCrop", "Forest", "River"), 4, at)


def gtsrb(d: Path) -> None:
    header = ("Width", "Height", "Roi.X1", "Roi.Y1", "ClassId", "Path")
    rows = []
    for c in range(3):
        for k in range(6):
            name = f"Train/{c}/{c:05d}_{k:05d}.png"
            photo(d / name, str(c))
            rows.append((27 + k, 26, 5, 5, c, name))
    write(d / "Train.csv", header, rows)
    tests = [(53, 54, 6, 5, k % 3, f"Test/{k:05d}.png") for k in range(6)]
    for row in tests:
        photo(d / str(row[5]))
    write(d / "Test.csv", header, tests)
    flat(d / "Meta", ["0.png", "1.png", "2.png"])
    write(
        d / "Meta.csv", ("Path", "ClassId", "ShapeId"), [(f"Meta/{k}.png", k, 1) for k in range(3)]
    )


def ham10000(d: Path) -> None:
    rows = []
    for k in range(24):
        photo(d / f"HAM10000_images_part_{1 + k // 12}/ISIC_{k:07d}.jpg")
        rows.append(
            (
                f"HAM_{k % 10:07d}",
                f"ISIC_{k:07d}",
                ("nv", "mel", "bkl")[k % 10 % 3],
                "histo",
                45.0,
                "male",
                "back",
            )
        )
    header = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
    write(d / "HAM10000_metadata.csv", header, rows)
    write(d / "hmnist_8_8_L.csv", ("pixel0000", "label"), [(1, 2), (3, 4)])


def br35h(d: Path) -> None:
    flat(d / "no", [f"no{k}.jpg" for k in range(8)])
    flat(d / "yes", [f"y{k}.jpg" for k in range(8)], "dog")
    flat(d / "pred", [f"pred{k}.jpg" for k in range(5)])


def breast_patches(d: Path) -> None:
    for patient in ("10253", "10254", "10255"):
        folders(d / patient, ("0", "1"), 3, patient)


def plant_village(d: Path) -> None:
    for form in ("color", "grayscale", "segmented"):
        folders(d / form, ("Apple___healthy", "Apple___scab"), 3, form)


def class_above_split(d: Path) -> None:
    for label in ("cat", "dog"):
        flat(d / label / "train", [f"{k}.jpg" for k in range(8)], label)
        flat(d / label / "test", [f"{k}.jpg" for k in range(3)], label)


def pet_images(d: Path) -> None:
    folders(d / "PetImages", ("Cat", "Dog"), 6)
    above(d / "PetImages/Cat/Thumbs.db").write_bytes(b"x")
    above(d / "MSR-LA - 3467.docx").write_bytes(b"PK")


def imagenette(d: Path) -> None:
    at = d / "imagenette2-160"
    rows = []
    for label in ("n01440764", "n02102040"):
        for part, n in (("train", 6), ("val", 3)):
            for k in range(n):
                name = f"{part}/{label}/{label}_{part}{k}.JPEG"
                photo(at / name, label)
                rows.append((name, label, "n01440764", part == "val"))
    write(
        at / "noisy_imagenette.csv", ("path", "noisy_labels_0", "noisy_labels_50", "is_valid"), rows
    )


def flowers102(d: Path) -> None:
    folders(d / "flower_data/train", ("1", "10", "100"), 6)
    folders(d / "flower_data/valid", ("1", "10", "100"), 2)
    flat(d / "flower_data/test", [f"image_{k:05d}.jpg" for k in range(4)])
    above(d / "cat_to_name.json").write_text("{}")


def stanford_dogs(d: Path) -> None:
    dogs = ("n02085620-Chihuahua", "n02086240-Shih-Tzu")
    folders(d / "images/Images", dogs, 6)
    for dog in dogs:
        above(d / f"annotations/Annotation/{dog}/{dog[:9]}_10074").write_text("<annotation/>")


def protein_atlas(d: Path) -> None:
    for k in range(10):
        photo(d / f"train/{k}.png")
    write(
        d / "train.csv", ("Id", "Target"), [(k, ("16 0", "7 1 2", "5")[k % 3]) for k in range(10)]
    )


def detection(d: Path) -> None:
    flat(d / "train", [f"{k}.jpg" for k in range(10)])
    rows = [(f"{k}.jpg", c) for k in range(10) for c in ("weed", "crop")]
    write(d / "labels.csv", ("image", "class"), rows)


def tar(d: Path) -> None:
    made = d.parent / f"{d.name}-made"
    folders(made / "photos", ("daisy", "rose"), 6)
    with tarfile.open(above(d / "photos.tar"), "w") as archive:
        archive.add(made / "photos", "photos")


def clutter(d: Path) -> None:
    folders(d / "train", ("cat", "dog"), 6)
    for name in (
        "@eaDir/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/$R1.jpg", ".Trashes/1.jpg",
        "train/Thumbs.db", "train/.ipynb_checkpoints/cat-1.jpg", "train/cat/._1.jpg",
        "train/thumbnails/1.jpg",
    ):  # fmt: skip
        photo(d / name)


def two_tables(d: Path) -> None:
    flat(d / "images", [f"{k}.jpg" for k in range(10)])
    write(d / "first.csv", ("image", "label"), [(f"{k}.jpg", "ab"[k % 2]) for k in range(10)])
    write(d / "second.csv", ("image", "label"), [(f"{k}.jpg", "ab"[k // 5]) for k in range(10)])


def exchanged_names(d: Path) -> None:
    """Two tables that divide the images alike, with the names exchanged."""
    flat(d / "images", [f"{k}.jpg" for k in range(10)])
    write(d / "first.csv", ("image", "label"), [(f"{k}.jpg", "ab"[k % 2]) for k in range(10)])
    write(d / "second.csv", ("image", "label"), [(f"{k}.jpg", "ba"[k % 2]) for k in range(10)])


def other_columns(d: Path) -> None:
    flat(d / "images", [f"{k}.jpg" for k in range(10)])
    write(
        d / "list.csv",
        ("picture", "colour", "kind"),
        [(f"{k}.jpg", "rgb"[k % 3], "ab"[k % 2]) for k in range(10)],
    )


def unmatched(d: Path) -> None:
    flat(d / "images", [f"{k}.jpg" for k in range(10)])
    write(
        d / "labels.csv", ("image", "label"), [(f"other-{k}.png", "ab"[k % 2]) for k in range(10)]
    )


def contradicting(d: Path) -> None:
    folders(d / "train", ("cat", "dog"), 6)
    names = [f"{c}_{k}.jpg" for c in ("cat", "dog") for k in range(6)]
    write(d / "labels.csv", ("image", "label"), [(n, "ab"[k % 2]) for k, n in enumerate(names)])


def windows(d: Path) -> None:
    rows = []
    for c in ("cat", "dog"):
        for k in range(6):
            photo(d / f"photos/{c}s/{k}.jpg", c)
            rows.append((f"C:\\Users\\me\\photos\\{c}s\\{k}.jpg", f" {c} "))
    path = write(d / "labels.csv", ("Image Path", "Class"), rows, ";")
    path.write_bytes(path.read_text().encode("utf-16"))
