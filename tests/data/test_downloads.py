"""What `inspect` finds in data sets as their publishers ship them, or why it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import competitions as kaggle
from tests.support import data_sets as sets
from tests.support import listed_sets as listed
from tests.support.command_line import SMALL


@dataclass(frozen=True)
class Download:
    """What must be found in a layout; None for what is not looked at.

    Attributes
    ----------
    make : builds it in a folder
    refused : words that the refusal must hold, () where it is read
    options : further options of ``inspect`` and ``fit``; {} in them stands for the folder
    data : what is given as DATA, below the folder
    """

    make: Callable[[Path], object]
    classes: int = 0
    train: int = 0  # train and valid together, unless valid is given
    valid: int | None = None
    test: int = 0
    labelled: bool = False
    labels: str = ""
    columns: tuple[str | None, str | None] = (None, None)
    split: str | None = None
    sample_matched: int | None = None
    group: str | None = None
    warned: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    data: str = "."
    names: tuple[str, ...] = ()


DOWNLOADS: dict[str, Download] = {
    "aptos": Download(
        kaggle.aptos,
        5,
        30,
        test=7,
        labels="train.csv",
        columns=("id_code", "diagnosis"),
        split="folders",
        sample_matched=7,
    ),
    "plant-pathology-2020": Download(
        kaggle.plant_pathology_2020, 4, 24, test=6, labels="train.csv", sample_matched=6
    ),
    "plant-pathology-2021": Download(
        kaggle.plant_pathology_2021, refused=("train.csv", "several labels per image", "'labels'")
    ),
    "planet": Download(
        kaggle.planet, refused=("train_v2.csv", "several labels per image", "'tags'")
    ),
    "aerial-cactus": Download(
        kaggle.cactus,
        2,
        14,
        test=6,
        labels="train.csv",
        columns=("id", "has_cactus"),
        sample_matched=6,
    ),
    "leaf": Download(
        kaggle.leaf,
        5,
        20,
        test=10,
        labels="train.csv",
        columns=("id", "species"),
        sample_matched=10,
    ),
    "dogs-vs-cats": Download(
        kaggle.dogs_vs_cats, 2, 16, test=6, labels="file names", sample_matched=6
    ),
    "ranzcr": Download(
        kaggle.ranzcr, refused=("train.csv", "several labels per image", "ETT - Abnormal")
    ),
    "melanoma": Download(
        kaggle.melanoma,
        2,
        24,
        test=5,
        labels="train.csv",
        columns=("image_name", "target"),
        sample_matched=5,
        group="patient_id",
    ),
    "statoil": Download(kaggle.statoil, refused=("no images", "test.json", "CSV")),
    "whale": Download(kaggle.whale, refused=("sample_submission.csv", "ranked lists")),
    "whale-classes": Download(
        lambda d: kaggle.whale(d, False),
        13,
        24,
        test=4,
        labels="train.csv",
        columns=("Image", "Id"),
        warned=("8 classes have a single image",),
    ),
    "petfinder": Download(kaggle.petfinder, refused=("train.csv", "continuous target")),
    "invasive": Download(kaggle.invasive, refused=("test.7z", "unpack")),
    "invasive-unpacked": Download(
        kaggle.invasive_unpacked,
        2,
        8,
        test=1,
        labels="train_labels.csv",
        columns=("name", "invasive"),
        sample_matched=1,
    ),
    "denoising": Download(kaggle.denoising, refused=("no labelled image", "--labels")),
    "brain-mri": Download(
        sets.brain_mri, 4, 24, test=12, labelled=True, labels="folders", split="folders"
    ),
    "chest-xray": Download(
        sets.chest_xray,
        2,
        16,
        valid=4,
        test=8,
        labelled=True,
        labels="folders",
        warned=("28 images in the folder 'chest_xray'",),
    ),
    "stanford-cars": Download(
        sets.stanford_cars, refused=("no labelled image", "cars_train_annos.mat")
    ),
    "stanford-cars-folders": Download(
        sets.stanford_cars_folders, 3, 18, test=6, labelled=True, labels="folders"
    ),
    "caltech101": Download(sets.caltech, 3, 18, labels="folders"),
    "cub": Download(
        listed.cub,
        4,
        12,
        test=12,
        labelled=True,
        labels="folders",
        split="train_test_split.txt, column is_train",
    ),
    "cub-without-names": Download(
        listed.cub_without_names, 4, 24, labels="folders", warned=("train_test_split.txt",)
    ),
    "oxford-pets": Download(
        listed.oxford_pets,
        3,
        15,
        test=9,
        labelled=True,
        labels="list.txt, test.txt, trainval.txt",
        columns=("name", "column 2"),
        warned=("'annotations'",),
    ),
    "tiny-imagenet": Download(
        listed.tiny_imagenet, 3, 18, valid=9, test=4, labels="folders", names=listed.SYNSETS
    ),
    "textures": Download(
        listed.textures,
        2,
        6,
        valid=6,
        test=6,
        labelled=True,
        labels="folders",
        split="test1.txt, train1.txt, val1.txt (the first of 3 splits)",
    ),
    "celeba": Download(listed.celeba, refused=("list_attr_celeba.csv", "several labels", "Male")),
    "celeba-chosen": Download(
        listed.celeba,
        2,
        12,
        valid=4,
        test=8,
        labelled=True,
        labels="list_attr_celeba.csv",
        split="list_eval_partition.csv, column partition",
        options=("--label-column", "Smiling"),
    ),
    "celeba-text": Download(
        lambda d: listed.celeba(d, text=True),
        2,
        12,
        valid=4,
        test=8,
        labelled=True,
        labels="list_attr_celeba.txt",
        split="list_eval_partition.txt, column partition",
        options=("--label-column", "Male"),
    ),
    "garbage": Download(listed.garbage, 3, 15, valid=3, test=6, labelled=True, labels="folders"),
    "numbered-classes": Download(
        listed.numbered_classes, 3, 12, valid=6, labels="train.txt, val.txt"
    ),
    "torn-lists": Download(listed.torn_lists, refused=("train.txt", "test.txt", "both list")),
    "species": Download(
        listed.species, 2, 20, labels="folders", warned=("'Ardea alba'", "(--labels FILE)")
    ),
    "scenes": Download(listed.scenes, refused=("no labelled image", "SUN397/a/abbey")),
    "landmarks": Download(
        listed.landmarks, 3, 30, labels="train.csv", columns=("id", "landmark_id")
    ),
    "cifar100": Download(
        sets.cifar,
        5,
        30,
        test=10,
        labelled=True,
        labels="folders",
        names=("airplane", "bicycle", "bus", "streetcar", "train"),
    ),
    "vehicles": Download(
        sets.vehicles, refused=("'train'", "'airplane', 'bus'", "split or a class")
    ),
    "train-station": Download(
        sets.stations, 3, 18, labels="folders", warned=("'train_station' is read as a class",)
    ),
    "fashion": Download(sets.fashion, refused=("styles.csv", "masterCategory", "--label-column")),
    "fashion-chosen": Download(
        sets.fashion,
        3,
        18,
        labels="styles.csv",
        columns=("id", "masterCategory"),
        options=("--label-column", "masterCategory"),
    ),
    "food-101": Download(sets.food101, 3, 21, test=9, labelled=True, labels="folders"),
    "eurosat": Download(sets.eurosat, 3, 21, valid=6, test=3, labelled=True, labels="folders"),
    "eurosat-both": Download(sets.eurosat_both, refused=("EuroSATallBands", "same folders")),
    "gtsrb": Download(
        sets.gtsrb, 3, 18, test=6, labelled=True, labels="folders", warned=("'Meta'",)
    ),
    "ham10000": Download(
        sets.ham10000,
        3,
        24,
        labels="HAM10000_metadata.csv",
        columns=("image_id", "dx"),
        group="lesion_id",
    ),
    "br35h": Download(sets.br35h, 2, 16, test=5, labels="folders"),
    "breast-patches": Download(sets.breast_patches, refused=("'10253'", "same folders")),
    "plant-village": Download(sets.plant_village, refused=("'color'", "same folders")),
    "class-above-split": Download(
        sets.class_above_split, 2, 16, test=6, labelled=True, labels="folders"
    ),
    "pet-images": Download(sets.pet_images, 2, 12, labels="folders"),
    "imagenette": Download(sets.imagenette, 2, 12, valid=6, labels="folders"),
    "flowers-102": Download(sets.flowers102, 3, 18, valid=6, test=4, labels="folders"),
    "stanford-dogs": Download(sets.stanford_dogs, 2, 12, labels="folders"),
    "protein-atlas": Download(
        sets.protein_atlas, refused=("train.csv", "several labels per image", "'Target'")
    ),
    "detection": Download(sets.detection, refused=("labels.csv", "several labels per image")),
    "tar": Download(sets.tar, 2, 12, labels="folders"),
    "clutter": Download(sets.clutter, 2, 12, labels="folders"),
    "two-tables": Download(sets.two_tables, refused=("first.csv", "second.csv", "--labels")),
    "exchanged": Download(sets.exchanged_names, refused=("first.csv", "second.csv", "differ")),
    "two-tables-chosen": Download(
        sets.two_tables, 2, 10, labels="second.csv", options=("--labels", "{}/second.csv")
    ),
    "other-columns": Download(
        sets.other_columns, refused=("list.csv", "'picture', 'colour', 'kind'", "--label-column")
    ),
    "unmatched": Download(sets.unmatched, refused=("labels.csv", "'image', 'label'", "0.jpg")),
    "contradicting": Download(sets.contradicting, refused=("labels.csv", "--labels")),
    "windows": Download(
        sets.windows, 2, 12, labels="labels.csv", columns=("Image Path", "Class"), data="labels.csv"
    ),
}


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_is_read_as_its_owner_meant_it(name, engine, tmp_path):
    download = DOWNLOADS[name]
    data = tmp_path / name
    data.mkdir()
    download.make(data)
    options = [option.format(data) for option in download.options]
    said = engine("inspect", data / download.data, *options, "--json")
    if download.refused:
        assert str(data) in said.refusal
        assert [word for word in download.refused if word not in said.refusal] == []
        return
    assert (said.code, said.err) == (0, ""), said
    found = json.loads(said.out)
    n = found["n"]
    assert len(found["class_names"]) == download.classes
    assert n["test"] == download.test and n["quarantined"] == 0
    if download.valid is None:
        assert n["train"] + n["valid"] == download.train and n["valid"] > 0
    else:
        assert (n["train"], n["valid"]) == (download.train, download.valid)
    assert found["test"]["labelled"] == download.labelled
    assert found["labels"]["source"] == download.labels
    if download.columns != (None, None):
        labels = found["labels"]
        assert (labels["id_column"], labels["label_column"]) == download.columns
    if download.split is not None:
        assert found["split"]["source"] == download.split
    if download.names:
        assert tuple(found["class_names"]) == download.names
    assert (found["group"] or {}).get("column") == download.group
    if download.sample_matched is not None:
        assert found["sample"]["matched"] == found["sample"]["rows"] == download.sample_matched
    text = " ".join(found["warnings"])
    assert [words for words in download.warned if words not in text] == []


SAMPLED = [
    name for name, each in DOWNLOADS.items() if each.sample_matched and each.labels != "none"
]


@pytest.mark.parametrize("name", SAMPLED)
def test_a_fit_on_a_download_ends_in_a_submission_with_the_samples_rows(name, engine, tmp_path):
    download = DOWNLOADS[name]
    data = tmp_path / name
    data.mkdir()
    download.make(data)
    options = [option.format(data) for option in download.options]
    fitted = engine("fit", data / download.data, *options, *SMALL, "--json")
    assert fitted.code == 0, fitted
    n = json.loads(fitted.out)["n"]
    assert (n["train"] + n["valid"], n["test"]) == (
        download.train + (download.valid or 0),
        download.test,
    )
    submitted = engine("submit", "latest", "--out", tmp_path / "mine.csv", "--json")
    assert submitted.code == 0, submitted
    made = json.loads(submitted.out)
    assert made["rows"] == download.sample_matched
    assert [check["name"] for check in made["checks"] if not check["passed"]] == []
    (sample,) = [c["message"] for c in made["checks"] if c["name"] == "sample"]
    with open(tmp_path / "mine.csv", newline="") as file:
        written = list(csv.reader(file))
    found = json.loads(engine("inspect", data / download.data, *options, "--json").out)["sample"]
    with open(found["file"], newline="") as file:
        asked = list(csv.reader(file))
    assert written[0] == asked[0] and [row[0] for row in written] == [row[0] for row in asked]
    assert Path(found["file"]).name in sample
