"""Caches the slices of a table, and measures its images when needed."""

from __future__ import annotations

from dataclasses import dataclass
from subprocess import Popen

import numpy as np
import pandas as pd

from dashboard.review import standing
from dashboard.selection.pending import Pending
from dashboard.shared import commands, tables
from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Key, Table, cached_table
from engine.analysis.intervals import unseen_error_loss
from engine.analysis.slice_text import cut_words
from engine.analysis.slices import Cut, Slice, cuts, slices_of
from engine.data import properties
from engine.errors import UserError
from engine.runs.run_list import open_run

_HERE_UP_TO = 100  # images that the page measures itself; more are measured in a child process

Stamps = tuple[Stamp, int]  # of the measurements and of the causes that verdicts give


@dataclass(frozen=True)
class Measuring:
    """Progress of measuring the images: the number done and the total."""

    done: int
    total: int


def slice_address(found: Slice) -> str:
    """Return the address text of a slice's bin."""
    return f"{found.trait}:{found.name or found.bin}"


def find_slices(table: Table) -> list[Slice] | Measuring:
    """Return the slices of a table, weakest first, or the progress of the measurement."""
    waiting = _measured(table.key)
    return waiting or _found(table.key, stamp())


def sample_text(table: Table) -> str:
    """Return the size of the sample behind the slices as text, '' if all images are used."""
    n = len(properties.sample_rows(len(table)))
    return f"{n:,} randomly chosen images" if n < len(table) else ""


def slice_text(table: Table, text: str) -> str:
    """Return the name of a slice as text."""
    cut, chosen = _bin(table.key, text)
    sample = sample_text(table)
    return cut_words(cut, chosen) + (f", among {sample}" if sample else "")


def within(table: Table, text: str) -> np.ndarray:
    """Return which images of a table lie in a slice, bool of shape (n,).

    Raises
    ------
    UserError
        If there is no such slice; Pending if the images are not measured yet.
    """
    cut, chosen = _bin(table.key, text)
    inside = np.zeros(len(table), dtype=bool)
    inside[properties.sample_rows(len(table))] = cut.bin_of == chosen
    return inside


def measured(table: Table, name: str) -> np.ndarray:
    """Return a measured property of each image, nan where it is unknown, float64 (n,).

    Parameters
    ----------
    name : brightness, contrast or sharpness

    Raises
    ------
    Pending
        If the images are not measured yet.
    """
    _refuse_unmeasured(table.key)
    found = np.full(len(table), np.nan)
    found[properties.sample_rows(len(table))] = _measures(table.key, stamp())[name]
    return found


def stamp() -> Stamps:
    """Return a value that changes with new measurements and causes given in verdicts."""
    return stamp_of(properties.properties_path()), _causes(standing.stamp())


def _bin(key: Key, text: str) -> tuple[Cut, int]:
    _refuse_unmeasured(key)
    trait, _, name = text.partition(":")
    for cut in _cuts(key, stamp()):
        if cut.trait == trait:
            if name in cut.names:
                return cut, cut.names.index(name)
            if name.isdigit() and int(name) < len(cut.low):
                return cut, int(name)
    raise UserError(f"this run has no slice {text!r}; clear the filter.")


def _refuse_unmeasured(key: Key) -> None:
    if waiting := _measured(key):
        raise Pending(
            f"The images are being measured, {waiting.done:,} of {waiting.total:,}; they are shown "
            "when all are."
        )


def _measured(key: Key) -> Measuring | None:
    """Start measuring the images if needed; return None when it is finished or impossible."""
    missing = len(_missing(key, stamp()))
    if not missing:
        return None
    if missing <= _HERE_UP_TO:
        _here(key)
        return None
    child, total = _child(key), len(_facts(key))
    return Measuring(total - missing, total) if child.poll() is None else None


@cached(8)
def _causes(stamp: Stamp) -> int:
    said = standing.standing().standing.items()
    return hash(frozenset((image, verdict.cause) for image, verdict in said if verdict.cause))


@cached(8)
def _facts(key: Key) -> pd.DataFrame:
    table = cached_table(key)
    rows = properties.sample_rows(len(table))
    return properties.facts_in(tables.facts(table, rows).to_pandas())


@cached(8)
def _missing(key: Key, now: Stamps) -> set[str]:
    return properties.unmeasured(_facts(key))


@cached(32)
def _here(key: Key) -> bool:
    """Measure once; images that cannot be measured are not tried again in every rerun."""
    facts = _facts(key)
    root = open_run(key[0]).data_root
    properties.measure_all(root, facts, properties.unmeasured(facts))
    return True


@cached(32)
def _child(key: Key) -> Popen[bytes]:
    return commands.start_measuring(open_run(key[0]), key[1])


@cached(8)
def _measures(key: Key, now: Stamps) -> pd.DataFrame:
    return properties.with_measures(_facts(key))


@cached(8)
def _cuts(key: Key, now: Stamps) -> list[Cut]:
    return cuts(_measures(key, now))


@cached(8)
def _found(key: Key, now: Stamps) -> list[Slice]:
    table = cached_table(key)
    rows = properties.sample_rows(len(table))
    y, names = table.predictions.y_true[rows], table.predictions.class_names
    unseen = unseen_error_loss(y, table.predictions.probabilities[rows])
    groups = tables.groups(table)
    return slices_of(
        y, table.loss[rows], unseen, names, _cuts(key, now), table.y_pred[rows] != y,
        None if groups is None else groups[rows],
    )  # fmt: skip
