"""Converts rows of a table into plain text for the gallery and the viewer."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.review.notes import note_data, tag_texts
from dashboard.review.standing import verdict_texts
from dashboard.review.verdicts import review_of
from dashboard.shared import browser_sync, tables, thumbnails
from dashboard.shared.original_address import original_address
from dashboard.shared.tables import Table
from dashboard.shared.thumbnails import ImageFile
from engine.runs.predictions import UNKNOWN

_BARS = 6
_OUTCOMES = ("incorrect", "correct")
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def tiles_of(table: Table, chosen: np.ndarray) -> list[dict[str, Any]]:
    """Return a gallery tile for each chosen row, with its thumbnail."""
    files = images_of(table, chosen)
    sources, ids = thumbnails.small(files), table.predictions.ids.take(chosen).to_pylist()
    verdicts, tags = verdict_texts(table, chosen), tag_texts(table, chosen)
    rows = zip(ids, files, sources, verdicts, tags, chosen.tolist(), strict=True)
    return [
        {
            "id": name,
            "src": source,
            "unreadable": "" if source else _where(table, file, row),
            "verdict": verdict,
            "tags": tag,
            **_words(table, row),
        }
        for name, file, source, verdict, tag, row in rows
    ]


def large_of(table: Table, order: np.ndarray, at: int) -> dict[str, Any]:
    """Return the viewer's data for the image at position ``at`` of ``order``."""
    row = int(order[at])
    words = _words(table, row)
    fact = tables.facts(table, order[at : at + 1]).to_pylist()[0]
    path, file = table.predictions.paths[row].as_py(), images_of(table, order[at : at + 1])[0]
    source = thumbnails.large(file)
    titles = {
        "incorrect": f"Incorrect: {words['true']}, predicted {words['predicted']}",
        "correct": f"Correct: {words['true']}",
        "unlabelled": f"No label, predicted {words['predicted']}"
        if table.predicted
        else f"Training image, labelled {words['p']}",
    }
    return {
        "id": table.predictions.ids[row].as_py(),
        "src": source,
        "where": f"{at + 1:,} of {len(order):,}",
        "outcome": words["outcome"],
        "title": titles[words["outcome"]],
        "path": path if source else _where(table, file, row),
        "size": _size(fact),
        "pixels": [fact["width"], fact["height"]] if fact["width"] else None,
        "original": original_address(*table.key[:2], table.predictions.ids[row].as_py()),
        "loss": _loss(table, words["loss"]),
        "bars": bars(table, row) if table.predicted else [],
        "explainable": table.predicted,
        "other": None,
        "review": review_of(table, row),
        "notes": note_data(table, row),
        "lastMessage": browser_sync.last_message(),
        "before": _id(table, order, at - 1),
        "after": _id(table, order, at + 1),
        "first": _id(table, order, 0),
        "last": _id(table, order, len(order) - 1),
    }


def images_of(table: Table, chosen: np.ndarray) -> list[ImageFile]:
    """Return the files of the chosen rows, without a path if the run has not read the image."""
    root, sums = tables.data_root(table), tables.facts(table, chosen)["sha256"].to_pylist()
    paths = table.predictions.paths.take(chosen).to_pylist()
    return [_file(root, path, sha256) for path, sha256 in zip(paths, sums, strict=True)]


@lru_cache(4096)  # joining and hashing the paths of a page takes a millisecond
def _file(root: Path, path: str, sha256: str | None) -> ImageFile:
    return ImageFile(root / path, sha256) if sha256 else ImageFile(root, "")


def _where(table: Table, file: ImageFile, row: int) -> str:
    """Return the path of an image that cannot be read, relative where the run has not read it."""
    return str(file.path if file.sha256 else table.predictions.paths[row].as_py())


def probability(p: float) -> str:
    """Format a probability with three digits; only exact 0 and 1 read 0.000 and 1.000."""
    if 0 < p < 0.0005:
        return "<0.001"
    return ">0.999" if 0.9995 <= p < 1 else f"{p:.3f}"


def _exact(p: float) -> str:
    """Format a probability with four digits, or as 6.0·10⁻⁸ below a thousandth."""
    if not 0 < p < 0.001:
        return f"{p:.4f}"
    digits, exponent = f"{p:.1e}".split("e-")
    return f"{digits}·10⁻{exponent.lstrip('0').translate(_SUPERSCRIPT)}"


def _words(table: Table, row: int) -> dict[str, str]:
    names, y_true = table.predictions.class_names, int(table.predictions.y_true[row])
    y_pred = int(table.y_pred[row])
    if not table.predicted:
        label = "" if y_true == UNKNOWN else names[y_true]
        nothing = {"true": "", "predicted": "", "loss": ""}
        return {"outcome": "unlabelled", "pName": "label", "p": label, **nothing}
    outcome = "unlabelled" if y_true == UNKNOWN else _OUTCOMES[y_true == y_pred]
    return {
        "outcome": outcome,
        "true": "" if y_true == UNKNOWN else names[y_true],
        "predicted": names[y_pred],
        "pName": table.score_name,
        "p": probability(float(table.score[row])),
        "loss": "" if y_true == UNKNOWN else f"{table.loss[row]:.3f}",
    }


def _loss(table: Table, loss: str) -> str:
    if not table.predicted:
        return "No held-out prediction: the network was trained on this image."
    return f"Log loss of this image: {loss}" if loss else ""


def bars(table: Table, row: int) -> list[dict[str, Any]]:
    """Return the probabilities of the likeliest classes and of the true one."""
    names = table.predictions.class_names
    p, y_true = table.predictions.probabilities[row], int(table.predictions.y_true[row])
    shown = np.argsort(-p, kind="stable")[:_BARS].tolist()
    if y_true != UNKNOWN and y_true not in shown:
        shown[-1] = y_true
    return [
        {
            "name": names[i],
            "p": _exact(float(p[i])),
            "width": round(100 * float(p[i]), 2),
            "role": " ".join(
                ["true"] * (i == y_true) + ["predicted"] * (i == int(table.y_pred[row]))
            ),
        }
        for i in shown
    ]


def _id(table: Table, order: np.ndarray, at: int) -> str | None:
    if not 0 <= at < len(order):
        return None
    name: str = table.predictions.ids[int(order[at])].as_py()
    return name


def _size(fact: dict[str, Any]) -> str:
    if None in (fact["width"], fact["height"], fact["bytes"]):
        return ""
    pixels = f"{int(fact['width']):,} × {int(fact['height']):,} pixels"
    return f"{pixels}, {fact['bytes'] / 1000:,.0f} kB"
