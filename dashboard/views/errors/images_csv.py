"""Images as a CSV file, with all that is known of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from dashboard.review.notes import notes_of
from dashboard.review.standing import standing, verdicts_of
from dashboard.review.suspects import reasons
from dashboard.shared.tables import Table
from engine.runs.images_table import read_images
from engine.runs.predictions import UNKNOWN
from engine.runs.run import OUT_OF_FOLD
from engine.runs.run_list import open_run

_MOST_COLUMNS = 100
_FORMULA = "(?s)^([=+\\-@\t\r\n|].*)$"
_SAID = ("verdict", "label", "cause", "reviewer", "time")


def csv_of(table: Table, chosen: np.ndarray) -> bytes:
    """Return what is known of the chosen rows, in order.

    The columns are id, path, split, label, predicted, p_<class> and log_loss; of the verdict
    verdict, correct_label, cause, reviewer and time; suspicion, the reason why the label is
    suspected; tags, divided by semicolons, and note. With more than 100 classes, only the
    predicted class's probability: ``p_predicted``.

    Images without a prediction have no columns of it.

    Text that a spreadsheet would interpret as a formula gets a leading apostrophe.
    """
    predictions, at = table.predictions, pa.array(chosen)
    names = pa.array(predictions.class_names, pa.string())
    y_true, loss = predictions.y_true[chosen], table.loss[chosen]
    first = {
        "id": predictions.ids.take(at),
        "path": predictions.paths.take(at),
        "split": _splits(table, chosen),
        "label": names.take(pa.array(y_true, mask=y_true == UNKNOWN)),
    }
    p, classes = predictions.probabilities, predictions.class_names
    numbers = {}
    if table.predicted:
        first["predicted"] = names.take(pa.array(table.y_pred[chosen]))
        numbers = {"p_predicted": pa.array(p[chosen, table.y_pred[chosen]])}
    if table.predicted and len(classes) <= _MOST_COLUMNS:
        numbers = {f"p_{name}": pa.array(p[chosen, index]) for index, name in enumerate(classes)}
    sink = pa.BufferOutputStream()
    losses = {"log_loss": pa.array(loss, mask=np.isnan(loss))} if table.predicted else {}
    last = _reviewed(table, chosen)
    pyarrow.csv.write_csv(pa.table({**_safe(first), **numbers, **losses, **_safe(last)}), sink)
    return bytes(sink.getvalue())


def _safe(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    return {name: pc.replace_substring_regex(c, _FORMULA, r"'\1") for name, c in columns.items()}


def _reviewed(table: Table, chosen: np.ndarray) -> dict[str, pa.Array]:
    """Return the columns of the verdicts and the suspicions, null without."""
    said = verdicts_of(standing(), table, chosen)
    columns = {
        "correct_label" if name == "label" else name: pa.array(
            [getattr(each, name) or None if each else None for each in said], pa.string()
        )
        for name in _SAID
    }
    known = reasons(table.key[0]) if table.key[1] != "test" else {}
    ids = table.predictions.ids.take(pa.array(chosen)).to_pylist()
    why = [" ".join(known.get(id, [])) or None for id in ids]
    noted = notes_of(table, chosen)
    tags = pa.array(["; ".join(each.tags) or None for each in noted], pa.string())
    texts = pa.array([each.note or None for each in noted], pa.string())
    return {**columns, "suspicion": pa.array(why, pa.string()), "tags": tags, "note": texts}


def _splits(table: Table, chosen: np.ndarray) -> pa.Array:
    """Return the split of each row: train or valid where a table has the images of both."""
    if table.key[1] not in OUT_OF_FOLD:
        return pa.array([table.key[1]] * len(chosen), pa.string())
    path = open_run(table.key[0]).folder / "images.parquet"
    images = read_images(path, ["id", "split"], splits=["train", "valid"])
    ids = table.predictions.ids.take(pa.array(chosen)).cast(pa.string())
    at = pc.index_in(ids, images["id"].cast(pa.string()).combine_chunks())
    return images["split"].cast(pa.string()).combine_chunks().take(at)
