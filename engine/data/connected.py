"""Components of images that share a group, their bytes or another value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def connected(keys: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return the component of each image, where images that share a value of any key share it.

    Components that share a value are joined to the one whose first image is the earliest of these,
    all at once, until none is left to join.

    References
    ----------
    Zhang, Azad and Hu (2020), FastSV: a distributed-memory connected component algorithm.

    Parameters
    ----------
    keys : int arrays of shape (n,)

    Returns
    -------
    int64 array of shape (n,), numbered from 0 without gaps in the order of the images
    """
    numbered = [np.unique(key, return_inverse=True)[1] for key in keys]
    first = np.arange(n)  # of each image: an image of its component, itself or an earlier one
    while True:
        before = first
        for key in numbered:
            of_value = np.full(n, n)
            np.minimum.at(of_value, key, first)
            joined = first.copy()
            np.minimum.at(joined, first, of_value[key])
            while not np.array_equal(joined, first):
                first, joined = joined, joined[joined]
        if np.array_equal(first, before):
            return np.unique(first, return_inverse=True)[1].astype(np.int64)
