"""Saves what the viewer sends of an image, and says what it shows of verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dashboard.review import notes
from dashboard.review.reviewer import reviewer
from dashboard.review.standing import stamp, standing, verdict_effect, verdict_text
from dashboard.review.suspects import reasons
from dashboard.shared import browser_sync, tables
from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Table
from dashboard.shell import show_user_errors
from engine.errors import UserError
from engine.runs.parquet_files import open_parquet
from engine.runs.predictions import UNKNOWN
from engine.runs.run_list import open_run
from engine.runs.verdict_effects import amended, given_labels, identical_images
from engine.runs.verdicts import Verdict, save_verdicts, undo_verdict

_COLUMNS = ("id", "path", "split", "sha256", "label", "given")
_TWINS = 3  # identical images that are named


def count(name: str) -> int:
    """Return how many labelled images of a run have a verdict, identical ones counted singly."""
    run = open_run(name)
    return _count(name, stamp(), stamp_of(run.folder / "images.parquet"))


def review_of(table: Table, row: int) -> dict[str, Any] | None:
    """Return the viewer's data for a verdict, or None for an image without a label."""
    fact = tables.facts(table, np.array([row])).to_pylist()[0]
    label = int(table.predictions.y_true[row])
    if not fact["sha256"] or label == UNKNOWN:
        return None
    verdict = standing().of(fact["sha256"], fact["given"])
    return {
        "others": _other_classes(table, label),
        "verdict": verdict.verdict if verdict else "",
        "label": verdict.label if verdict else "",
        "cause": verdict.cause if verdict else "",
        "line": f"{verdict.reviewer}, {verdict.time[:16].replace('T', ' ')}" if verdict else "",
        "effect": verdict_effect(verdict),
        "reason": " ".join(reasons(table.key[0]).get(table.predictions.ids[row].as_py(), [])),
        "twins": _twins(table, row),
    }


def keep_verdicts(table: Table, widget: str) -> None:
    """Save or undo the verdicts, tags and notes that the viewer sent (callback)."""
    for message in browser_sync.new_messages(widget):
        row = tables.row_of(table, str(message.get("id", "")))
        if row is not None:
            with show_user_errors():
                _keep(table, row, message)
    browser_sync.note_change()


def judgements(table: Table, rows: np.ndarray, message: dict[str, Any]) -> list[Verdict]:
    """Return the verdicts of a message on images; images without a label are left out.

    Parameters
    ----------
    message : verdict, label and cause; "" or missing means as before

    Raises
    ------
    UserError
        If the label is not another class of an image.
    """
    verdict, right, cause = (str(message.get(key, "")) for key in ("verdict", "label", "cause"))
    known, made = standing(), []
    for row, fact in zip(rows.tolist(), tables.facts(table, rows).to_pylist(), strict=True):
        label = int(table.predictions.y_true[row])
        if not fact["sha256"] or label == UNKNOWN:
            continue
        others, given = _other_classes(table, label), fact["given"] or ""
        if right and right not in others:
            raise UserError(
                f"{right!r} cannot be the correct class; choose another class of this run."
            )
        image = Verdict(fact["sha256"], "", path=fact["path"], reviewer=reviewer(), given=given)
        made.append(amended(known.of(image.sha256, given), image, others, verdict, right, cause))
    return made


def _keep(table: Table, row: int, message: dict[str, Any]) -> None:
    if "tag" in message:
        tag, on = str(message["tag"]), bool(message.get("on"))
        notes.change(table, np.array([row]), lambda note: note.with_tag(tag, on))
        return
    if "note" in message:
        text = str(message["note"])
        notes.change(table, np.array([row]), lambda note: note.with_text(text))
        return
    made = judgements(table, np.array([row]), message)
    if not made:
        raise UserError("this image has no label to review.")
    if message.get("undo"):
        undo_verdict(made[0].sha256, made[0].given, made[0].reviewer)
    else:
        save_verdicts(made)


def _other_classes(table: Table, label: int) -> list[str]:
    return [name for i, name in enumerate(table.predictions.class_names) if i != label]


def _twins(table: Table, row: int) -> str:
    """Return the identical images with label and verdict as text, '' without any."""
    id, run = table.predictions.ids[row].as_py(), open_run(table.key[0])
    sha256 = tables.facts(table, np.array([row]))["sha256"][0].as_py()
    images, verdicts = _labelled(run.name, stamp_of(run.folder / "images.parquet")), standing()
    if (pc.sum(pc.equal(images["sha256"], sha256)).as_py() or 0) < 2:
        return ""
    found = identical_images(_with_content(images, [sha256]), id)
    texts = []
    for twin in found[:_TWINS]:
        said = verdict_text(verdicts.of(sha256, twin.given))
        texts.append(f"{twin.id} (labelled {twin.given}{', ' * bool(said)}{said})")
    more = [f"{len(found) - _TWINS:,} more"] if len(found) > _TWINS else []
    return f"Identical: {', '.join([*texts, *more])}." if texts else ""


@cached(8)
def _count(name: str, now: Stamp, stamp: Stamp) -> int:
    verdicts = standing()
    sums = [sha256 for sha256, _ in verdicts.standing]
    images = _with_content(_labelled(name, stamp), sums)
    said = map(verdicts.of, images["sha256"], given_labels(images))
    return sum(verdict is not None for verdict in said)


@cached(2)
def _labelled(name: str, stamp: Stamp) -> pa.Table:
    path = open_run(name).folder / "images.parquet"
    try:
        with open_parquet(path) as file:
            known = pq.ParquetFile(file).schema_arrow.names
            file.seek(0)
            columns = [name for name in _COLUMNS if name in known]
            return pq.read_table(file, columns=columns, filters=pc.field("split") != "test")
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is missing or damaged; restore it, or fit again.") from error


def _with_content(images: pa.Table, sums: list[str]) -> pd.DataFrame:
    """Return the labelled rows with one of these checksums."""
    chosen = pc.is_in(images["sha256"], value_set=pa.array(sums, images["sha256"].type))
    found: pd.DataFrame = images.filter(pc.and_(chosen, pc.is_valid(images["label"]))).to_pandas()
    return found
