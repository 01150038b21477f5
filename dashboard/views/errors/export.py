"""The filtered images as a CSV file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from dashboard.shared.tables import Table
from engine.runs.predictions import UNKNOWN

_MOST_COLUMNS = 100
_FORMULA = "(?s)^([=+\\-@\t\r\n|].*)$"


def csv_of(table: Table, chosen: np.ndarray) -> bytes:
    """Return id, path, label, predicted, p_<class> and log_loss of the chosen rows, in order.

    With more than 100 classes, only the predicted class's probability: ``p_predicted``.

    Text that a spreadsheet would interpret as a formula gets a leading apostrophe.
    """
    predictions, at = table.predictions, pa.array(chosen)
    names = pa.array(predictions.class_names, pa.string())
    y_true, loss = predictions.y_true[chosen], table.loss[chosen]
    columns = {
        "id": predictions.ids.take(at),
        "path": predictions.paths.take(at),
        "label": names.take(pa.array(y_true, mask=y_true == UNKNOWN)),
        "predicted": names.take(pa.array(table.y_pred[chosen])),
    }
    text = {name: pc.replace_substring_regex(c, _FORMULA, r"'\1") for name, c in columns.items()}
    p, classes = predictions.probabilities, predictions.class_names
    if len(classes) <= _MOST_COLUMNS:
        numbers = {f"p_{name}": pa.array(p[chosen, index]) for index, name in enumerate(classes)}
    else:
        numbers = {"p_predicted": pa.array(p[chosen, table.y_pred[chosen]])}
    sink = pa.BufferOutputStream()
    losses = {"log_loss": pa.array(loss, mask=np.isnan(loss))}
    pyarrow.csv.write_csv(pa.table({**text, **numbers, **losses}), sink)
    return bytes(sink.getvalue())
