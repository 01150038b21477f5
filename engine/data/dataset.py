"""Find pictures, labels and ids; split; fingerprint; quarantine. The source is only read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from engine.data.headers import Unreadable, note_of, upright_size
from engine.data.layouts import Listing, as_utf8, find_pictures, texts
from engine.errors import Refused

IMAGES_COLUMNS = ["id", "path", "split", "label", "width", "height", "bytes", "sha256"]
QUARANTINE_COLUMNS = ["path", "reason", "id", "split", "label"]
DEFAULT_VALID = 2000
SAMPLE_TRAIN, SAMPLE_VALID = 200, 50

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Dataset:
    """Pictures that may be used, those that may not, and their classes.

    Attributes
    ----------
    root : the folder that ``images.path`` is relative to
    images : table of id, path, split (train, valid, test), label, width, height, bytes, sha256
    quarantine : table of path, reason, id, split, label
    class_names : sorted; empty when nothing is labelled
    ignored : number of files passed over, such as ``Thumbs.db``
    notes : path to what is unusual about a good picture, such as an animation
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
        """Move pictures (path to reason) to the quarantine."""
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
    progress: Progress | None = None,
) -> Dataset:
    """Read a labelled data set: list it, read every file once, split it.

    Parameters
    ----------
    data
        A Kaggle folder, an ImageFolder, a folder of class folders, a CSV, or a zip of one.
    valid
        Pictures to hold out where the data has no ``valid`` folder; by default 2,000, or 20 %
        of fewer than 10,000.
    sample
        Keep 200 train and 50 valid pictures, for a quick rehearsal.

    Raises
    ------
    Refused
        When there is nothing to fit: no pictures, no labels, or a single class.
    """
    listing = find_pictures(data)
    dataset = examine(listing, progress)
    labelled = dataset.images["label"].notna() & (dataset.images["split"] == "train")
    names = tuple(sorted(dataset.images.loc[labelled, "label"].unique()))
    if not names:
        raise Refused(f"{data} holds no labelled picture; see `fit --help` for the layouts.")
    if len(names) == 1:
        raise Refused(f"{data} holds a single class, {names[0]!r}; a classifier needs two.")
    dataset = _quarantine_unknown(replace(dataset, class_names=names))
    return replace(dataset, images=divided(dataset.images, data, valid, sample, seed))


def divided(
    images: pd.DataFrame, data: Path, valid: int | None, sample: bool, seed: int
) -> pd.DataFrame:
    """Hold valid pictures out of the train ones, unless there are some, and thin for a sample.

    Parameters
    ----------
    images
        The table, split as the data itself says; further as :func:`load_dataset`.

    Raises
    ------
    Refused
        When ``valid`` does not fit.
    """
    split = _split(images, valid, seed, data)
    return _sample(split, seed) if sample else split


def load_pictures(
    data: Path, class_names: tuple[str, ...], progress: Progress | None = None
) -> Dataset:
    """Read pictures to predict, labelled or not; all of them become the split ``test``.

    Labels that are none of ``class_names`` are left out.

    Raises
    ------
    Refused
        When there is no picture.
    """
    listing = find_pictures(data, class_names=class_names)
    dataset = examine(listing, progress)
    if dataset.images.empty:
        raise Refused(f"{data} holds no picture that can be read.")
    known = dataset.images["label"].isin(class_names)
    images = dataset.images.assign(label=dataset.images["label"].where(known, None))
    return replace(dataset, images=images, class_names=class_names)


def examine(listing: Listing, progress: Progress | None = None) -> Dataset:
    """Read every listed file once: size, checksum and header; quarantine what cannot be read."""
    frame = listing.pictures
    total = len(frame)
    rows: list[_Read] = []
    bad: dict[str, str] = {}
    for done, (path, read) in enumerate(_read_all(listing.root, frame["path"].tolist()), 1):
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
    """Report byte-identical pictures that lie in two splits or under two labels.

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


_AHEAD = 8  # parts of 16 pictures that are read before they are looked at
_Read = tuple[int, int, int, str, str]  # width, height, bytes, sha256, note


def _read_all(root: Path, paths: list[str]) -> Iterator[tuple[str, _Read | str]]:
    def read(path: str) -> tuple[bytes, str] | str:
        try:
            path.encode()  # the tables are UTF-8
            with open(os.path.join(root, path), "rb", opener=_open_file) as file:
                content = file.read()
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except ValueError:
            return "its name is not UTF-8, or holds a null byte; rename it"
        return content, hashlib.sha256(content).hexdigest()

    def seen(path: str, found: tuple[bytes, str] | str) -> _Read | str:
        if isinstance(found, str):
            return found
        content, sha256 = found
        try:
            width, height = upright_size(content)
            return width, height, len(content), sha256, note_of(content, path)
        except Unreadable as error:
            return str(error)

    def read_some(some: list[str]) -> list[tuple[bytes, str] | str]:
        return [read(path) for path in some]

    # Threads wait for the disk and compute checksums; headers, which hold Python's lock, do not.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        parts = [paths[start : start + 16] for start in range(0, len(paths), 16)]
        waiting = deque(pool.submit(read_some, part) for part in parts[:_AHEAD])
        for number, part in enumerate(parts):
            contents = waiting.popleft().result()
            if number + _AHEAD < len(parts):
                waiting.append(pool.submit(read_some, parts[number + _AHEAD]))
            yield from ((p, seen(p, found)) for p, found in zip(part, contents, strict=True))


def _open_file(path: str, flags: int) -> int:
    """Open a regular file alone; a pipe or a device would hang or never end."""
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no file")
    return handle


def _quarantine_unknown(dataset: Dataset) -> Dataset:
    images = dataset.images
    unlabelled = images[(images["split"] != "test") & images["label"].isna()]
    dataset = dataset.without(
        {path: "no label: its name is not <class>.<number>" for path in unlabelled["path"]}
    )
    images = dataset.images
    learnt = images["label"].isin(dataset.class_names)
    foreign = images[(images["split"] == "valid") & ~learnt]
    reasons = [f"unknown label: no train picture is {label!r}" for label in foreign["label"]]
    dataset = dataset.without(dict(zip(foreign["path"], reasons, strict=True)))
    images = dataset.images
    strange = (images["split"] == "test") & images["label"].notna()
    known = ~strange | images["label"].isin(dataset.class_names)
    return replace(dataset, images=images.assign(label=images["label"].where(known, None)))


def _split(images: pd.DataFrame, valid: int | None, seed: int, data: Path) -> pd.DataFrame:
    given = (images["split"] == "valid").any()
    if given:
        if valid is not None:
            raise Refused(f"--valid {valid} does not apply: {data} has valid pictures of its own.")
        return images
    train = images[images["split"] == "train"]
    n, classes = len(train), train["label"].nunique()
    size = valid if valid is not None else min(DEFAULT_VALID, round(0.2 * n))
    if not 0 < size <= n - classes:
        raise Refused(
            f"--valid {size} does not fit: {data} holds {n:,} labelled pictures, and each of "
            f"its {classes:,} classes needs one to learn from."
        )
    held_out = stratified(train, size, seed)
    return images.assign(split=images["split"].where(~images.index.isin(held_out), "valid"))


def _sample(images: pd.DataFrame, seed: int) -> pd.DataFrame:
    kept = [images.index[images["split"] == "test"].to_numpy()]
    for split, size in (("train", SAMPLE_TRAIN), ("valid", SAMPLE_VALID)):
        rows = images[images["split"] == split]
        spare = min(len(rows) - size, len(rows) - rows["label"].nunique())
        left_out = stratified(rows, spare, seed) if spare > 0 else rows.index[:0]
        kept.append(rows.index[~rows.index.isin(left_out)].to_numpy())
    return images.loc[np.sort(np.concatenate(kept))].reset_index(drop=True)


def stratified(rows: pd.DataFrame, size: int, seed: int) -> np.ndarray:
    """Choose ``size`` index values of ``rows``, each class in proportion, the same for a seed.

    Every class keeps at least one row outside the choice; the order of ``rows`` does not
    matter, only their ids. ``size`` is at most the number of rows less that of classes.
    """
    rng = np.random.default_rng(seed)
    ordered = rows.sort_values(["id", "path"])
    groups = [group.index.to_numpy() for _, group in ordered.groupby("label")]
    most = np.array([len(group) - 1 for group in groups])
    exact = np.array([len(group) * size / len(rows) for group in groups])
    counts = np.minimum(np.floor(exact).astype(int), most)
    while counts.sum() < size:  # largest remainder, among the classes that have rows to spare
        counts[np.where(counts < most, exact - counts, -np.inf).argmax()] += 1
    chosen = [rng.permutation(group)[:count] for group, count in zip(groups, counts, strict=True)]
    return np.sort(np.concatenate(chosen))
