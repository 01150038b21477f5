"""Chooses the validation images: a seeded, stratified split that divides no group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from engine.data.connected import connected
from engine.errors import UserError, first_ten

DEFAULT_VALID = 2000
SAMPLE_TRAIN, SAMPLE_VALID = 200, 50


def divided(
    images: pd.DataFrame, data: Path, valid: int | None, sample: bool, seed: int
) -> pd.DataFrame:
    """Choose validation images if the data give none, and thin train and valid for a sample.

    Images of one group (column ``group``) or of the same bytes stay on one side. Every class that
    has two images is in valid where the number allows it; one that has a single image stays in
    train.

    Parameters
    ----------
    images
        The table with the split given by the data; the other parameters as for
        :func:`load_dataset`.

    Raises
    ------
    UserError
        When ``valid`` is too large or too small for the images.
    """
    split = _split(images, valid, seed, data)
    return _sample(split, seed) if sample else split


def components(images: pd.DataFrame, also: np.ndarray | None = None) -> np.ndarray:
    """Return the component of each image: images of one group, of the same bytes or of ``also``.

    Parameters
    ----------
    images : table with the columns sha256 and group
    also : further groups, int array (n,), such as those of near-identical images

    Returns
    -------
    int64 array of shape (n,), numbered from 0 without gaps
    """
    n = len(images)
    keys = [pd.factorize(images["sha256"])[0]] if "sha256" in images else []
    if "group" in images and images["group"].notna().any():
        codes = pd.factorize(images["group"])[0]  # -1 where there is none
        keys.append(np.where(codes < 0, codes.max() + 1 + np.arange(n), codes))
    if also is not None:
        keys.append(also)
    if len(keys) == 1:
        return np.asarray(pd.factorize(keys[0])[0], dtype=np.int64)
    return connected(keys, n)


def divided_components(split: pd.Series[str], component: np.ndarray) -> np.ndarray:
    """Return the components with images in both train and valid, int64, ascending."""
    sides = {side: np.unique(component[(split == side).to_numpy()]) for side in ("train", "valid")}
    return np.intersect1d(sides["train"], sides["valid"])


def kept_together(images: pd.DataFrame, component: np.ndarray, seed: int) -> pd.DataFrame:
    """Move each divided component into train, and as many other images of its classes into valid.

    Parameters
    ----------
    images : table with the columns id, path, split, label
    component : see `components`, int array (n,)
    """
    divided = divided_components(images["split"], component)
    if not len(divided):
        return images
    split = images["split"].to_numpy(dtype=object).copy()
    moved = np.isin(component, divided) & (split == "valid")
    missing = images["label"][moved].value_counts().to_dict()
    split[moved] = "train"
    sizes = pd.Series(component).map(pd.Series(component).value_counts()).to_numpy()
    left = images.assign(split=split)[(split == "train") & (sizes == 1)]
    for label, count in sorted(missing.items()):
        rows = left[left["label"] == label].sort_values(["id", "path"])
        spare = min(count, max(0, int((images["label"][split == "train"] == label).sum()) - 1))
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(rows.index.to_numpy(copy=True))[:spare]
        split[images.index.isin(chosen)] = "valid"
    return images.assign(split=split)


def single_classes(images: pd.DataFrame) -> list[str]:
    """Return the classes with a single labelled image, which stays in train.

    Parameters
    ----------
    images : table with the columns split and label
    """
    counts = images.loc[images["split"] != "test", "label"].value_counts()
    return sorted(counts.index[counts == 1])


def _split(images: pd.DataFrame, valid: int | None, seed: int, data: Path) -> pd.DataFrame:
    given = (images["split"] == "valid").any()
    if given:
        if valid is not None:
            raise UserError(
                f"cannot be used: {data} has its own validation images; leave it out.",
                option="valid",
                value=valid,
            )
        return images
    train = images[images["split"] == "train"]
    n, classes = len(train), train["label"].nunique()
    size = valid if valid is not None else _default_size(train)
    if 0 < classes < n and valid is not None and not 0 < valid <= n - classes:
        right = "be 1" if n - classes == 1 else f"lie between 1 and {n - classes:,}"
        raise UserError(
            f"must {right}: {data} holds {n:,} labelled images, and each "
            f"of its {classes:,} classes needs one for training.",
            option="valid",
            value=valid,
        )
    if classes == n:
        raise UserError(
            f"{data} holds only one image of each of its {classes:,} classes, so none can be used "
            "for validation; add images, or put some into a folder named 'valid'."
        )
    component = components(train)
    if len(np.unique(component)) == n:
        held_out = stratified(train, size, seed, every_class=True)
    else:
        held_out = whole_groups(train, component, size, seed)
        if not len(held_out):
            names = first_ten(sorted(map(str, train["group"].dropna().unique())))
            raise UserError(
                f"{data} cannot be divided: every way to hold out whole groups ({names}) leaves a "
                "class without training images; choose another --group column."
            )
    return images.assign(split=images["split"].where(~images.index.isin(held_out), "valid"))


def _default_size(train: pd.DataFrame) -> int:
    """Return 2,000, or a fifth of fewer than 10,000; at least one of each class that has two."""
    counts = train["label"].value_counts()
    size = min(DEFAULT_VALID, max(1, round(0.2 * len(train))))
    return min(max(size, int((counts > 1).sum())), len(train) - len(counts))


def _sample(images: pd.DataFrame, seed: int) -> pd.DataFrame:
    kept = [images.index[images["split"] == "test"].to_numpy()]
    for split, size in (("train", SAMPLE_TRAIN), ("valid", SAMPLE_VALID)):
        rows = images[images["split"] == split]
        spare = min(len(rows) - size, len(rows) - rows["label"].nunique())
        left_out = stratified(rows, spare, seed) if spare > 0 else rows.index[:0]
        kept.append(rows.index[~rows.index.isin(left_out)].to_numpy())
    return images.loc[np.sort(np.concatenate(kept))].reset_index(drop=True)


def stratified(
    rows: pd.DataFrame, size: int, seed: int, *, every_class: bool = False
) -> np.ndarray:
    """Choose ``size`` index values of ``rows``, each class in proportion, the same for a seed.

    Every class keeps at least one row outside the choice; the order of ``rows`` does not
    matter, only their ids. ``size`` is at most the number of rows less that of classes. With
    ``every_class`` each class of two rows or more has one in the choice, where ``size`` allows.
    """
    rng = np.random.default_rng(seed)
    ordered = rows.sort_values(["id", "path"])
    groups = [group.index.to_numpy() for _, group in ordered.groupby("label")]
    counts = _quotas(np.array([len(group) for group in groups]), size, every_class)
    chosen = [rng.permutation(group)[:count] for group, count in zip(groups, counts, strict=True)]
    return np.sort(np.concatenate(chosen))


def whole_groups(rows: pd.DataFrame, component: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Choose about ``size`` index values of ``rows`` by whole components, in proportion to classes.

    Components of several images are tried in a seeded order, and chosen if their classes still need
    that many; single images then fill each class up to its number.

    Parameters
    ----------
    component : int array (n,), see `components`
    """
    order = np.lexsort((rows["path"].astype(str), rows["id"].astype(str)))
    rows, component = rows.iloc[order], component[order]
    names, label = np.unique(rows["label"].to_numpy(str), return_inverse=True)
    total = np.bincount(label, minlength=len(names))
    lacking = _quotas(total, size, every_class=True).astype(np.float64)
    outside = total.copy()
    sizes = np.bincount(component)[component]
    share = size / len(rows)
    chosen = np.zeros(len(rows), dtype=bool)
    rng = np.random.default_rng(seed)
    offered = rng.permutation(pd.unique(component[sizes > 1]))
    members = {key: np.flatnonzero(component == key) for key in offered}
    budget = share * sum(map(len, members.values()))
    for key in offered:
        taken = members[key]
        adds = np.bincount(label[taken], minlength=len(names))
        useful = np.minimum(adds, lacking.clip(0)).sum() >= len(taken) / 2
        if useful and budget > 0 and (outside - adds)[adds > 0].min() >= 1:
            chosen[taken] = True
            outside -= adds
            lacking -= adds
            budget -= len(taken)
    for place in rng.permutation(np.flatnonzero(sizes == 1)):
        if lacking[label[place]] >= 1 and outside[label[place]] > 1:
            chosen[place] = True
            outside[label[place]] -= 1
            lacking[label[place]] -= 1
    if not chosen.any():  # every group is larger than what is wanted: the smallest that may leave
        for key in sorted(members, key=lambda key: len(members[key])):
            adds = np.bincount(label[members[key]], minlength=len(names))
            if (outside - adds)[adds > 0].min() >= 1:
                chosen[members[key]] = True
                break
    return np.sort(rows.index.to_numpy()[chosen])


def _quotas(sizes: np.ndarray, size: int, every_class: bool) -> np.ndarray:
    """Return how many of each class are chosen: in proportion, each less than the class has."""
    most = sizes - 1
    exact = sizes * size / sizes.sum()
    counts = np.minimum(np.floor(exact).astype(int), most)
    if every_class and size >= np.count_nonzero(most):
        counts = np.minimum(np.maximum(counts, 1), most)
    while counts.sum() < size:  # largest remainder, among the classes that have rows to spare
        counts[np.where(counts < most, exact - counts, -np.inf).argmax()] += 1
    while counts.sum() > size:  # one more of a small class is one less of a large one
        counts[np.where(counts > 1, counts - exact, -np.inf).argmax()] -= 1
    return np.asarray(counts)
