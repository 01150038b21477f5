"""Combines a verdict with an earlier one, and applies verdicts to labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from engine.runs.verdicts import BOTH, HARD, NEITHER, WRONG, Verdict, Verdicts


@dataclass(frozen=True)
class IdenticalImage:
    """An image with the same content as another one: its id, path, label in the data and split."""

    id: str
    path: str
    given: str
    split: str


def identical_images(images: pd.DataFrame, id: str) -> list[IdenticalImage]:
    """Return the labelled images that are identical to a labelled image, sorted by id.

    Parameters
    ----------
    images : an images table of a run
    """
    labelled = images[(images["split"] != "test") & images["label"].notna()]
    same = labelled[labelled["sha256"].isin(labelled.loc[labelled["id"] == id, "sha256"])]
    others = same.assign(given=given_labels(same))[same["id"] != id].sort_values("id")
    rows = others[["id", "path", "given", "split"]].itertuples(index=False, name=None)
    return [IdenticalImage(*map(str, row)) for row in rows]


def given_labels(images: pd.DataFrame) -> pd.Series:
    """Return the data's own labels, from an images table whose labels verdicts changed."""
    if "given" not in images:
        return images["label"]
    return images["given"].where(images["given"].notna(), images["label"])


def amended(
    before: Verdict | None,
    image: Verdict,
    others: Sequence[str],
    verdict: str = "",
    label: str = "",
    cause: str = "",
) -> Verdict:
    """Return the new verdict on an image; values that are not given stay as ``before``.

    A class alone means a wrong label, a cause alone an ambiguous image. With two classes, a wrong
    label can only be the other class.

    Parameters
    ----------
    image : a verdict with sha256, given label, path and reviewer
    others : all classes except the image's label
    """
    if not verdict:
        verdict = WRONG if label else before.verdict if before else HARD
    if before and verdict == before.verdict == WRONG:
        label = label or before.label
    if verdict == WRONG and len(others) == 1:
        label = label or others[0]
    cause = cause or (before.cause if before else "")
    return replace(image, verdict=verdict, label=label, cause=cause)


def applied(
    labels: Sequence[str | None],
    sha256: Sequence[str],
    class_names: Sequence[str],
    verdicts: Verdicts,
) -> tuple[list[str | None], list[bool]]:
    """Return the given labels after applying the verdicts, and which images show a single class.

    A wrong label becomes the class named in the verdict if ``class_names`` contains it; "both" and
    "neither" have no class; "hard" and "fine" change nothing.
    """
    corrected, single = list(labels), [True] * len(labels)
    for row, name in enumerate(sha256):
        verdict = verdicts.of(name, labels[row])
        if verdict is None:
            continue
        single[row] = verdict.verdict not in (BOTH, NEITHER)
        if verdict.verdict == WRONG and verdict.label in class_names:
            corrected[row] = verdict.label
    return corrected, single
