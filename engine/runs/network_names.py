"""The networks that a fit names: its backbones, and the initial weights of each."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath

from engine.errors import UserError


def backbone_names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of backbones, given as a list or as one text joined by "+"."""
    return tuple(given.split("+") if isinstance(given, str) else given)


def weights_names(given: str | PathLike[str] | Iterable[str]) -> tuple[str, ...]:
    """Return the initial weights, given as a list or as one text; equal names are given once."""
    if isinstance(given, str | PathLike):
        return (fspath(given),)
    weights = tuple(fspath(each) for each in given)
    same = len(set(weights)) == 1 and not names_a_file(weights[0])
    return weights[:1] if same else weights


def names_a_file(weights: str) -> bool:
    """Return whether initial weights are given as a file, not by name."""
    return weights not in ("default", "none") and not weights.startswith("IMAGENET")


def plain(values: tuple[str, ...]) -> str | list[str]:
    """Return a single text as it is, and several as a list."""
    return values[0] if len(values) == 1 else list(values)


def check_networks(backbone: tuple[str, ...], weights: tuple[str, ...], train: str) -> None:
    """Raise an error if backbones and weights do not fit each other.

    Raises
    ------
    UserError
        If they do not; the message names the option.
    """
    n, network = len(backbone), "+".join(backbone)
    if len(weights) != n and (len(weights) > 1 or names_a_file(weights[0])):
        raise UserError(
            f"must be given once for each of the {n} backbones, in their order."
            if n > 1
            else "must be given once, or --backbone must be given as often.",
            option="weights",
            value=", ".join(weights),
        )
    if train == "all" and n > 1:
        raise UserError(
            "names several networks, but only one can be trained as a whole; name one, or set "
            "--train to head.",
            option="backbone",
            value=network,
        )
    each = weights * n if len(weights) == 1 else weights
    if len(set(zip(backbone, each, strict=True))) < n:
        raise UserError("names a network twice; name each once.", option="backbone", value=network)
