"""Torchvision's published figures of each backbone, from a file beside this module; no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_suffix(".json")  # a test compares it with torchvision
_FASTER = 2.0  # least ratio of two speeds that were measured here
_FEWER = 10.0  # least ratio of operations, where a speed was not measured


@dataclass(frozen=True)
class BackboneFacts:
    """A backbone with its default weights, as published.

    Attributes
    ----------
    parameters : number of weights of the whole network
    gflop : billions of multiplications and additions for one image
    accuracy : top-1 accuracy on ImageNet's 50,000 validation images, 0 to 1
    crop : side in pixels of the images for which accuracy and gflop hold
    """

    name: str
    parameters: int
    gflop: float
    accuracy: float
    crop: int


@cache
def all_facts() -> dict[str, BackboneFacts]:
    """Return the facts of all backbones by name, the most accurate first."""
    rows = [BackboneFacts(**row) for row in json.loads(_FILE.read_text("utf-8"))]
    return {each.name: each for each in rows}


def better_and_faster(name: str, speeds: Mapping[str, float]) -> str:
    """Return a sentence on the best network that is more accurate and faster here, or ''.

    Where the speeds of both were not measured here, only a network with a tenth of the operations
    counts as faster, and the sentence says that it was not measured.
    """
    facts = all_facts()
    asked = facts.get(name)
    if asked is None:
        return ""

    def faster(other: BackboneFacts) -> bool:
        if name in speeds and other.name in speeds:
            return speeds[other.name] >= _FASTER * speeds[name]
        return other.gflop * _FEWER <= asked.gflop

    better = [each for each in facts.values() if each.accuracy > asked.accuracy and faster(each)]
    if not better:
        return ""
    best = max(better, key=lambda each: (each.name in speeds, each.accuracy))
    how = f"needs {best.gflop:.2g} instead of {asked.gflop:.2g} GFLOP per image (not measured here)"
    if best.name in speeds and name in speeds:
        how = f"is {speeds[best.name] / speeds[name]:.2g} times as fast here"
    return (
        f"{best.name} is more accurate on ImageNet ({best.accuracy:.1%} instead of "
        f"{asked.accuracy:.1%}) and {how}: --backbone {best.name}."
    )
