"""Sentences on the time that a fit will take, from what was measured on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.runs.backbone_facts import better_and_faster
from engine.runs.fit_defaults import ALL_EPOCHS
from engine.runs.fit_options import FitOptions
from engine.runs.network_names import names_a_file
from engine.runs.network_speeds import Speeds, pass_seconds, speeds_here
from engine.text import duration


def sentences(options: FitOptions, images: Mapping[str, int]) -> list[str]:
    """Return how long the network takes for these images, and a network that is better and faster.

    Parameters
    ----------
    images : the number of images by split
    """
    sized = options.image_size is not None  # speeds are kept for the size of the weights
    measured = [] if sized else speeds_here(options.device, options.precision)
    said = _training(options, images, measured)
    if options.train == "head":
        said = _extracting(options, sum(images.values()), measured)
    better = _better(options, measured)
    return [said, better] if better else [said]


def _extracting(options: FitOptions, n: int, measured: Sequence[Speeds]) -> str:
    found = pass_seconds(options.backbone, n * options.views, measured)
    of = f"{n:,} images" + (f" in {options.views} views" if options.views > 1 else "")
    if found is None:
        return f"The time to extract features of {of} has not been measured here yet."
    return (
        f"Extracting features of {of} takes {_about(*found)}, as measured here; images that have "
        "cached features take no time."
    )


def _training(options: FitOptions, images: Mapping[str, int], measured: Sequence[Speeds]) -> str:
    epochs = options.epochs or ALL_EPOCHS
    n = images.get("train", 0)
    of = f"Training the whole network on {n:,} images, {epochs:,} times,"
    found = pass_seconds(options.backbone, n * epochs, measured)
    if found is None:
        return f"{of} has not been measured here yet."
    return f"{of} takes more than {duration(found[0])} here, the time of the forward passes alone."


def _better(options: FitOptions, measured: Sequence[Speeds]) -> str:
    """Return the sentence of a fit on a CPU: a network that is more accurate and faster."""
    own_file = any(source == "none" or names_a_file(source) for _, source in options.networks)
    on_gpu = options.device not in ("auto", "cpu") or len(options.backbone) > 1 or own_file
    if on_gpu or (options.device == "auto" and speeds_here("cuda", "auto")):
        return ""
    speeds = {name: speed for each in measured for name, speed in each.items()}
    better = better_and_faster(options.network, speeds)
    return f"On a CPU, {better}" if better else ""


def _about(least: float, most: float) -> str:
    low, high = duration(least), duration(most)
    return f"about {low}" if low == high else f"between {low} and {high}"
