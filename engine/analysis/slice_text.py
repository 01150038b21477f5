"""Names of slices for people, such as `Brightness 10% to 32%, true cat`."""

from __future__ import annotations

from collections.abc import Callable

from engine.analysis.slices import Cut, Slice

_TITLES = {
    "brightness": "Brightness",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "pixels": "Size",
    "aspect": "Width to height",
    "bytes": "File size",
    "cause": "Cause",
}
_VALUES: dict[str, Callable[[float], str]] = {
    "brightness": lambda v: f"{v:.0%}",
    "contrast": lambda v: f"{v:.0%}",
    "sharpness": lambda v: f"{1000 * v:.3g}",
    "pixels": lambda v: f"{v / 1e6:.2g} megapixels",
    "aspect": lambda v: f"{v:.2f}",
    "bytes": lambda v: f"{v / 1000:,.0f} kB",
}


def described(found: Slice) -> str:
    """Return the name of a slice, including its class."""
    return words(found.trait, found.low, found.high, found.name) + (
        f", true {found.true}" if found.true is not None else ""
    )


def cut_words(cut: Cut, bin: int) -> str:
    """Return the name of one bin of a cut."""
    if cut.names:
        return words(cut.trait, None, None, cut.names[bin])
    return words(cut.trait, float(cut.low[bin]), float(cut.high[bin]), "")


def words(trait: str, low: float | None, high: float | None, name: str) -> str:
    """Return the name of a bin: its own name, or its property and both ends."""
    title = _TITLES.get(trait, trait)
    if low is None or high is None:
        return f"{title}: {name}"
    value = _VALUES.get(trait, "{:.3g}".format)
    first, last = value(low), value(high)
    if first == last:
        return f"{title} {first}"
    number, _, unit = first.partition(" ")
    return f"{title} {number if unit and last.endswith(unit) else first} to {last}"
