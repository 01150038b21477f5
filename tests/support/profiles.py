"""Colour profiles, and their colours in sRGB by the formulas."""

from __future__ import annotations

import numpy as np

from engine.data.profiles import D65, matrix_profile

ADOBE = matrix_profile(D65, ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 2.19921875)
PROPHOTO = matrix_profile(
    (0.3457, 0.3585), ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), 1.8
)
TO_XYZ = {  # to D50, from Lindbloom's tables
    "adobe": [[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197],
              [0.0194811, 0.0608902, 0.7448387]],
    "prophoto": [[0.7976749, 0.1351917, 0.0313534], [0.2880402, 0.7118741, 0.0000857],
                 [0.0, 0.0, 0.8252100]],
    "srgb": [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169],
             [0.0139322, 0.0971045, 0.7141733]],
}  # fmt: skip


def to_srgb_by_hand(levels: np.ndarray, name: str, gamma: float) -> np.ndarray:
    linear = (levels / 255.0) ** gamma
    matrix = np.linalg.inv(TO_XYZ["srgb"]) @ np.array(TO_XYZ[name])
    there = np.clip(linear @ matrix.T, 0, 1)
    return 255 * np.where(there <= 0.0031308, 12.92 * there, 1.055 * there ** (1 / 2.4) - 0.055)
