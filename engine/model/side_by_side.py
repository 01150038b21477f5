"""Features of several networks side by side, each block with the same weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.model.features import Features

_BLOCK = 4096  # rows in one step
_LARGEST = torch.finfo(torch.float16).max


def side_by_side(found: Sequence[Features], scales: Sequence[float] = ()) -> Features:
    """Return the features of several networks, one block of columns for each.

    An image that lacks a block is left out.

    Parameters
    ----------
    found : the features of the same images by each network
    scales : the factor of each block; by default those of :func:`equal_scales`
    """
    bad = {path: why for each in found for path, why in each.bad.items()}
    names = [name for name in found[0].row_of if all(name in each.row_of for each in found[1:])]
    rows = [torch.tensor([each.row_of[name] for name in names], dtype=torch.long) for each in found]
    scales = tuple(scales) or equal_scales(
        [each.values[at] for each, at in zip(found, rows, strict=True)]
    )

    def joined(blocks: Sequence[torch.Tensor]) -> torch.Tensor:
        parts = [
            values[at].float().mul_(scale).clamp_(-_LARGEST, _LARGEST).half()
            for values, at, scale in zip(blocks, rows, scales, strict=True)
        ]
        return torch.cat(parts, dim=1)

    views = zip(*(each.views for each in found), strict=True)
    return Features(
        joined([each.values for each in found]),
        {name: row for row, name in enumerate(names)},
        bad,
        sum(each.forward_passes for each in found),
        tuple(joined(blocks) for blocks in views),
        tuple(each.values.shape[1] for each in found),
        scales,
    )


def equal_scales(blocks: Sequence[torch.Tensor]) -> tuple[float, ...]:
    """Return factors after which all blocks have the same mean squared distance from their mean.

    For all blocks together it becomes their number of columns, as for standardised features.

    Parameters
    ----------
    blocks : tensors of shape (n, width), of the same n images
    """
    share = sum(block.shape[1] for block in blocks) / len(blocks)
    scales = []
    for block in blocks:
        n = max(len(block), 1)
        mean, total = block.sum(dim=0, dtype=torch.float64) / n, 0.0
        for start in range(0, len(block), _BLOCK):
            total += float((block[start : start + _BLOCK].double() - mean).square().sum())
        scales.append((share * n / total) ** 0.5 if total > 0 else 1.0)
    return tuple(scales)
