"""Who is held out: a seeded, stratified split that moves no file, and the rehearsal's sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from engine.errors import UserError

DEFAULT_VALID = 2000
SAMPLE_TRAIN, SAMPLE_VALID = 200, 50


def divided(
    images: pd.DataFrame, data: Path, valid: int | None, sample: bool, seed: int
) -> pd.DataFrame:
    """Hold valid images out of the train ones, unless there are some, and thin for a sample.

    Parameters
    ----------
    images
        The table, split as the data itself says; further as :func:`load_dataset`.

    Raises
    ------
    UserError
        When ``valid`` does not fit.
    """
    split = _split(images, valid, seed, data)
    return _sample(split, seed) if sample else split


def _split(images: pd.DataFrame, valid: int | None, seed: int, data: Path) -> pd.DataFrame:
    given = (images["split"] == "valid").any()
    if given:
        if valid is not None:
            raise UserError(
                f"does not apply: {data} has valid images of its own.", option="valid", value=valid
            )
        return images
    train = images[images["split"] == "train"]
    n, classes = len(train), train["label"].nunique()
    size = valid if valid is not None else min(DEFAULT_VALID, round(0.2 * n))
    if not 0 < size <= n - classes:
        raise UserError(
            f"does not fit: {data} holds {n:,} labelled images, and each of its {classes:,} "
            "classes needs one to learn from.",
            option="valid",
            value=size,
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
