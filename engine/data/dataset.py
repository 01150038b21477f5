"""Find images, labels and ids; split; fingerprint; quarantine. The source is only read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from engine.data.layouts import DataSource, find_images, test_images
from engine.data.listing import NO_ORIGIN, Listing, Origin, as_utf8, texts
from engine.data.reading import Read, read_all
from engine.data.sealing import seal
from engine.data.splits import components, divided, divided_components, single_classes
from engine.errors import UserError, first_ten

IMAGES_COLUMNS = [
    "id", "path", "split", "label", "width", "height", "bytes", "sha256", "group", "fold",
]  # fmt: skip
QUARANTINE_COLUMNS = ["path", "reason", "id", "split", "label"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Dataset:
    """Usable images, quarantined images, and the classes.

    Attributes
    ----------
    root : the folder that ``images.path`` is relative to
    images : table of id, path, split (train, valid, test), label, width, height, bytes, sha256,
        group and fold (None where there is none)
    quarantine : table of path, reason, id, split, label
    class_names : sorted; empty when nothing is labelled
    origin : where labels and splits came from, and what was passed over
    split_given : whether the data give the validation images
    notes : remark on an unusual but usable image, such as an animation, by path
    sealed : images that no step uses, columns as ``images``; see `engine.data.sealing`
    """

    root: Path
    images: pd.DataFrame
    quarantine: pd.DataFrame
    class_names: tuple[str, ...]
    origin: Origin = NO_ORIGIN
    split_given: bool = False
    notes: dict[str, str] = field(default_factory=dict)
    sealed: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=IMAGES_COLUMNS))

    @property
    def ignored(self) -> int:
        """Return the number of files passed over, such as ``Thumbs.db``."""
        return sum(self.origin.ignored.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return sentences that a person should read before anything is computed."""
        return self.origin.warnings

    def of(self, split: str) -> pd.DataFrame:
        """Return the rows of one ``split``, sorted by id."""
        return self.images[self.images["split"] == split].sort_values("id", ignore_index=True)

    def without(self, bad: dict[str, str]) -> Dataset:
        """Return the data set with some images moved to the quarantine.

        Parameters
        ----------
        bad : reason by path
        """
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
    data: Path | DataSource,
    *,
    valid: int | None = None,
    sample: bool = False,
    sealed: int = 0,
    seed: int = 0,
    listing: Listing | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read a labelled data set: list it, read every file once, split it.

    Parameters
    ----------
    data
        A folder in any usual layout, a label table, a zip or tar; with :class:`DataSource`, how
        it is to be read.
    valid
        Images to hold out where the data has no ``valid`` folder; by default 2,000, or 20 %
        of fewer than 10,000.
    sample
        Keep 200 train and 50 valid images, for a quick test run.
    sealed
        Number of labelled images to reserve before anything else.
    listing
        The result of `find_images`, if it was called already.

    Raises
    ------
    UserError
        When there is nothing to fit: no images, no labels, or a single class.
    """
    source = data if isinstance(data, DataSource) else DataSource(data)
    listing = listing or find_images(source)
    dataset = examine(listing, progress)
    labelled = dataset.images["label"].notna() & (dataset.images["split"] == "train")
    names = tuple(sorted(dataset.images.loc[labelled, "label"].unique()))
    if not names:
        raise UserError(f"{source.data} holds no labelled image{_why_none(listing, dataset)}.")
    if len(names) == 1:
        raise UserError(
            f"{source.data} holds images of one class only, {names[0]!r} (labels from "
            f"{listing.origin.labels.source}); a classifier needs two."
        )
    dataset = _quarantine_unknown(replace(dataset, class_names=names))
    dataset = seal(dataset, sealed, seed)
    given = bool((dataset.images["split"] == "valid").any())
    images = divided(dataset.images, source.data, valid, sample, seed)
    return _with_warnings(replace(dataset, images=images, split_given=given))


def load_images(
    data: Path | DataSource,
    class_names: tuple[str, ...],
    progress: Progress | None = None,
    *,
    own: bool = False,
) -> Dataset:
    """Read images to predict, labelled or not; all of them become the split ``test``.

    Labels that are not in ``class_names`` are left out. With ``own``, the data are those of the
    fit, and only their test images are read.

    Raises
    ------
    UserError
        When there is no image.
    """
    listing = test_images(data, class_names) if own else find_images(data, class_names)
    dataset = examine(listing, progress)
    if dataset.images.empty:
        shown = data.data if isinstance(data, DataSource) else data
        raise UserError(f"{shown} holds no image that can be read{_first_reasons(dataset)}.")
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
    found = Dataset(listing.root, images[IMAGES_COLUMNS], empty, (), listing.origin, notes=notes)
    return found.without(bad)


def duplicates(images: pd.DataFrame) -> list[dict[str, object]]:
    """Report byte-identical images that lie in two splits or under two labels.

    Returns
    -------
    list of {paths, splits, labels}, one entry per content, sorted by path.
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
    source = dataset.origin.labels.source
    reason = "no label: its name is not <class>.<number>"
    if source not in ("file names", "none"):
        where = "it lies in no class folder" if source == "folders" else f"{source} has none for it"
        reason = f"no label: {where}"
    dataset = dataset.without(dict.fromkeys(unlabelled["path"], reason))
    images = dataset.images
    learnt = images["label"].isin(dataset.class_names)
    foreign = images[(images["split"] == "valid") & ~learnt]
    reasons = [f"unknown label: no train image is {label!r}" for label in foreign["label"]]
    dataset = dataset.without(dict(zip(foreign["path"], reasons, strict=True)))
    images = dataset.images
    strange = (images["split"] == "test") & images["label"].notna()
    known = ~strange | images["label"].isin(dataset.class_names)
    return replace(dataset, images=images.assign(label=images["label"].where(known, None)))


def _with_warnings(dataset: Dataset) -> Dataset:
    """Add what the split itself gives to say."""
    found = list(dataset.warnings)
    group = dataset.origin.group
    if group is not None and group.suggested:
        found.append(
            f"Images of one {group.column} may be in both train and valid, which makes the "
            f"scores too optimistic; --group {group.column} keeps each of its {group.n:,} on one "
            "side."
        )
    if single := single_classes(dataset.images):
        found.append(
            f"{len(single):,} classes have a single image, which stays in train: "
            f"{first_ten(single)}."
        )
    if dataset.split_given:
        labelled = dataset.images[dataset.images["split"] != "test"]
        component = components(labelled)
        if len(cut := divided_components(labelled["split"], component)):
            n = int(np.isin(component, cut).sum())
            what = (
                "groups or copies" if labelled["group"].notna().any() else "byte-identical images"
            )
            found.append(
                f"The split that the data gives divides {len(cut):,} sets of {what} "
                f"({n:,} images) between train and valid, which makes the scores too optimistic."
            )
    test = (dataset.images["split"] == "test").any()
    if not test and dataset.origin.samples:
        found.append(
            f"There is the sample file {dataset.origin.samples[0].name}, but no test image; give "
            "the folder of the test images with --test DIR."
        )
    elif not test and dataset.origin.test_folders:
        found.append("There is no test image that can be read.")
    return replace(dataset, origin=replace(dataset.origin, warnings=tuple(found)))


def _why_none(listing: Listing, dataset: Dataset) -> str:
    """Say why no image is labelled: files that cannot be read, or names that give no class."""
    if dataset.images.empty or len(dataset.quarantine) > len(dataset.images):
        return _first_reasons(dataset)
    first = listing.images["path"].iloc[0] if len(listing.images) else ""
    train = (listing.images["split"] == "train").sum()
    if not train and len(listing.images):
        return f": its {len(listing.images):,} images, such as {first}, lie in a test folder"
    unread = f" ({listing.origin.unread[0]})" if listing.origin.unread else ""
    return (
        f": {len(listing.images):,} images, such as {first}, lie in no class folders, are not "
        "named <class>.<number>, and no table beside them names them; give one with --labels "
        f"FILE{unread}"
    )


def _first_reasons(dataset: Dataset) -> str:
    if dataset.quarantine.empty:
        return ""
    bad, total = len(dataset.quarantine), len(dataset.quarantine) + len(dataset.images)
    some = dataset.quarantine.head(2).itertuples(index=False)
    first = "; ".join(f"{row.path}: {row.reason}" for row in some)
    return f": {bad:,} of {total:,} files cannot be used ({first})"
