"""Names of slices for people, such as `Darkest fifth (brightness 10% to 32%), true cat`."""

from __future__ import annotations

from collections.abc import Callable

from engine.analysis.slices import BINS, Cut, Slice

_TITLES = {
    "brightness": "Brightness",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "pixels": "Size",
    "aspect": "Width to height",
    "bytes": "File size",
    "cause": "Cause",
}
_ENDS = {  # of the images in order of a property
    "brightness": ("darkest", "brightest"),
    "contrast": ("lowest-contrast", "highest-contrast"),
    "sharpness": ("blurriest", "sharpest"),
    "pixels": ("smallest", "largest"),
    "aspect": ("narrowest", "widest"),
    "bytes": ("smallest-file", "largest-file"),
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
    text = _name(found.trait, found.bin, found.n_bins, found.low, found.high, found.name)
    return text + (f", true {found.true}" if found.true is not None else "")


def cut_words(cut: Cut, bin: int) -> str:
    """Return the name of one bin of a cut."""
    if cut.names:
        return _name(cut.trait, bin, cut.n_bins, None, None, cut.names[bin])
    return _name(cut.trait, bin, cut.n_bins, float(cut.low[bin]), float(cut.high[bin]), "")


def _name(
    trait: str, bin: int, n_bins: int, low: float | None, high: float | None, name: str
) -> str:
    """Return the name of a bin: its own, or which fifth it is, with its property and both ends."""
    title = _TITLES.get(trait, trait)
    if low is None or high is None:
        return f"{title}: {name}"
    value = _VALUES.get(trait, "{:.3g}".format)
    first, last = value(low), value(high)
    number, _, unit = first.partition(" ")
    ends = f"{number if unit and last.endswith(unit) else first} to {last}"
    range_text = f"{title} {first if first == last else ends}"
    if n_bins != BINS or trait not in _ENDS:
        return range_text
    return f"{_fifth(bin, trait)} ({range_text[0].lower()}{range_text[1:]})"


def _fifth(bin: int, trait: str) -> str:
    if bin == BINS // 2:
        return "Middle fifth"
    end, from_end = (_ENDS[trait][0], bin) if bin < BINS // 2 else (_ENDS[trait][1], BINS - 1 - bin)
    text = f"{'second-' * from_end}{end} fifth"
    return text[0].upper() + text[1:]
