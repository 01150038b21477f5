"""Find images, labels and ids; split; fingerprint; quarantine. The source is only read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from engine.data.layouts import Listing, as_utf8, find_images, texts
from engine.data.reading import Read, read_all
from engine.data.splits import divided
from engine.errors import UserError

IMAGES_COLUMNS = ["id", "path", "split", "label", "width", "height", "bytes", "sha256"]
QUARANTINE_COLUMNS = ["path", "reason", "id", "split", "label"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Dataset:
    """Images that may be used, those that may not, and their classes.

    Attributes
    ----------
    root : the folder that ``images.path`` is relative to
    images : table of id, path, split (train, valid, test), label, width, height, bytes, sha256
    quarantine : table of path, reason, id, split, label
    class_names : sorted; empty when nothing is labelled
    ignored : number of files passed over, such as ``Thumbs.db``
    notes : path to what is unusual about a good image, such as an animation
    """

    root: Path
    images: pd.DataFrame
    quarantine: pd.DataFrame
    class_names: tuple[str, ...]
    ignored: int
    notes: dict[str, str] = field(default_factory=dict)

    def of(self, split: str) -> pd.DataFrame:
        """Return the rows of one split, sorted by id."""
        return self.images[self.images["split"] == split].sort_values("id", ignore_index=True)

    def without(self, bad: dict[str, str]) -> Dataset:
        """Move images (path to reason) to the quarantine."""
        if not bad:
            return self
        is_bad = self.images["path"].isin(list(bad))
        moved = self.images[is_bad].assign(reason=lambda rows: rows["path"].map(bad))
        return replace(
            self,
            images=self.images[~is_bad].reset_index(drop=True),
            quarantine=pd.concat(
                [self.quarantine, moved[QUARANTINE_COLUMNS]], ignore_index=True
            ).sort_values("path", ignore_index=True),
            notes={path: note for path, note in self.notes.items() if path not in bad},
        )

    @property
    def fingerprint(self) -> str:
        """Return a checksum of what is in the table: ids, splits, labels and contents."""
        lines = (
            self.images[["id", "split", "label", "sha256"]].fillna("").sort_values(["split", "id"])
        )
        text = "\n".join("\t".join(row) for row in lines.itertuples(index=False, name=None))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def load_dataset(
    data: Path,
    *,
    valid: int | None = None,
    sample: bool = False,
    seed: int = 0,
    listing: Listing | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read a labelled data set: list it, read every file once, split it.

    Parameters
    ----------
    data
        A Kaggle folder, an ImageFolder, a folder of class folders, a CSV, or a zip of one.
    valid
        Images to hold out where the data has no ``valid`` folder; by default 2,000, or 20 %
        of fewer than 10,000.
    sample
        Keep 200 train and 50 valid images, for a quick rehearsal.
    listing
        What `find_images` has found there already, if anything.

    Raises
    ------
    UserError
        When there is nothing to fit: no images, no labels, or a single class.
    """
    dataset = examine(listing or find_images(data), progress)
    labelled = dataset.images["label"].notna() & (dataset.images["split"] == "train")
    names = tuple(sorted(dataset.images.loc[labelled, "label"].unique()))
    if not names:
        raise UserError(f"{data} holds no labelled image; the README lists what can be read.")
    if len(names) == 1:
        raise UserError(f"{data} holds a single class, {names[0]!r}; a classifier needs two.")
    dataset = _quarantine_unknown(replace(dataset, class_names=names))
    return replace(dataset, images=divided(dataset.images, data, valid, sample, seed))


def load_images(
    data: Path, class_names: tuple[str, ...], progress: Progress | None = None
) -> Dataset:
    """Read images to predict, labelled or not; all of them become the split ``test``.

    Labels that are none of ``class_names`` are left out.

    Raises
    ------
    UserError
        When there is no image.
    """
    listing = find_images(data, class_names=class_names)
    dataset = examine(listing, progress)
    if dataset.images.empty:
        raise UserError(f"{data} holds no image that can be read.")
    known = dataset.images["label"].isin(class_names)
    images = dataset.images.assign(label=dataset.images["label"].where(known, None))
    return replace(dataset, images=images, class_names=class_names)


def examine(listing: Listing, progress: Progress | None = None) -> Dataset:
    """Read every listed file once: size, checksum and header; quarantine what cannot be read."""
    frame = listing.images
    total = len(frame)
    rows: list[Read] = []
    bad: dict[str, str] = {}
    for done, (path, read) in enumerate(read_all(listing.root, frame["path"].tolist()), 1):
        if isinstance(read, str):
            bad[as_utf8(path)] = read
            read = (0, 0, 0, "", "")
        rows.append(read)
        if progress and (done % 256 == 0 or done == total):
            progress("list", done, total)
    read_columns = pd.DataFrame(rows, columns=["width", "height", "bytes", "sha256", "note"])
    frame = frame.reset_index(drop=True).assign(path=texts(map(as_utf8, frame["path"])))
    images = pd.concat([frame, read_columns], axis=1)
    notes = {path: note for path, note in zip(images["path"], images["note"], strict=True) if note}
    empty = pd.DataFrame(columns=QUARANTINE_COLUMNS, dtype=object)
    found = Dataset(listing.root, images[IMAGES_COLUMNS], empty, (), listing.ignored, notes)
    return found.without(bad)


def duplicates(images: pd.DataFrame) -> list[dict[str, object]]:
    """Report byte-identical images that lie in two splits or under two labels.

    Returns
    -------
    list of {paths, splits, labels}, one entry a content, sorted by path.
    """
    repeated = images[images.duplicated("sha256", keep=False)]
    found: list[dict[str, object]] = []
    for _, rows in repeated.groupby("sha256"):
        splits, labels = sorted(set(rows["split"])), sorted(set(rows["label"].dropna()))
        if len(splits) > 1 or len(labels) > 1:
            found.append({"paths": sorted(rows["path"]), "splits": splits, "labels": labels})
    return sorted(found, key=lambda entry: str(entry["paths"]))


def _quarantine_unknown(dataset: Dataset) -> Dataset:
    images = dataset.images
    unlabelled = images[(images["split"] != "test") & images["label"].isna()]
    dataset = dataset.without(
        {path: "no label: its name is not <class>.<number>" for path in unlabelled["path"]}
    )
    images = dataset.images
    learnt = images["label"].isin(dataset.class_names)
    foreign = images[(images["split"] == "valid") & ~learnt]
    reasons = [f"unknown label: no train image is {label!r}" for label in foreign["label"]]
    dataset = dataset.without(dict(zip(foreign["path"], reasons, strict=True)))
    images = dataset.images
    strange = (images["split"] == "test") & images["label"].notna()
    known = ~strange | images["label"].isin(dataset.class_names)
    return replace(dataset, images=images.assign(label=images["label"].where(known, None)))
