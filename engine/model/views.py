"""The views of an image: the centre, its mirror, the whole image, and the mirror of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from engine.model.features import Features
from engine.model.preprocessing import Preprocessing

_BLOCK = 4096  # rows averaged in one step


def views_of(steps: Preprocessing, n: int) -> list[Preprocessing]:
    """Return the preprocessing of the first n views of an image.

    Parameters
    ----------
    steps : that of the centre, as published
    n : 1 (the centre), 2 (and its mirror) or 4 (and the whole image and its mirror)
    """
    mirrored, whole = replace(steps, mirrored=True), replace(steps, whole=True)
    return [steps, mirrored, whole, replace(whole, mirrored=True)][:n]


def averaged(found: Sequence[Features]) -> Features:
    """Return the features of several views of the same images, and their average.

    An image that lacks a view is left out.
    """
    if len(found) == 1:
        return found[0]
    bad = {path: why for each in found for path, why in each.bad.items()}
    names = [name for name in found[0].row_of if all(name in each.row_of for each in found[1:])]
    views = [_rows(each, names) for each in found]
    values = torch.empty_like(views[0])
    for start in range(0, len(values), _BLOCK):
        part = torch.stack([view[start : start + _BLOCK].float() for view in views])
        values[start : start + _BLOCK] = part.mean(dim=0)
    passes = sum(each.forward_passes for each in found)
    row_of = {name: row for row, name in enumerate(names)}
    return Features(values, row_of, bad, passes, tuple(views))


def _rows(features: Features, names: list[str]) -> torch.Tensor:
    if list(features.row_of) == names:
        return features.values
    return features.values[[features.row_of[name] for name in names]]
