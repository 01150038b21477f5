"""Heat maps and nearest training images of an image, computed without blocking the page.

A worker process computes explanations; results are stored, so that each image is computed once.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np

from dashboard.selection.split import training_table
from dashboard.shared import tables, thumbnails
from dashboard.shared.tables import Table
from dashboard.shared.thumbnails import ImageFile
from engine.errors import UserError
from engine.runs.explanations import Explanation, load_explanation
from engine.runs.maps import making_progress
from engine.runs.opening import read_file
from engine.runs.run import OUT_OF_FOLD, Run
from engine.runs.run_list import open_run
from engine.runs.worker import Worker

_WAIT = 0.15  # seconds to wait before the page continues and asks again
_KEPT = 16  # explanations without neighbours, while features are computed
_WORKER = Worker(["explain", "latest", "--serve"])
_QUEUE = ThreadPoolExecutor(1, thread_name_prefix="explain")
_waiting: dict[tuple[str, str], Future[dict[str, Any]]] = {}
_without_features: dict[tuple[str, str], Explanation] = {}  # shown while they are computed


def answer(table: Table, row: int, image: str) -> dict[str, Any]:
    """Return the component's data for an image, or that the worker is still computing."""
    try:
        found = _explained(table, row, image)
    except UserError as error:
        return {"id": image, "state": "failed", "message": str(error)}
    if found is None:
        return {"id": image, "state": "looking"}
    maps = [
        {
            "name": each["class"],
            "role": " and ".join(each["roles"]),
            "src": "" if each["blank"] else _uri(Path(each["file"])),
        }
        for each in found["maps"]
    ]
    near, root = found["neighbours"], tables.data_root(table)
    sources = thumbnails.small([ImageFile(root / one["path"], one["sha256"]) for one in near])
    neighbours = [
        {
            "id": one["id"],
            "label": one["label"],
            "other": one["label"] != found["true"],
            "distance": f"{one['distance']:.2f}",
            "src": source,
            "known": any(
                one["split"] in _splits(of) and tables.row_of(of, one["id"]) is not None
                for of in (table, training_table(table.key[0]))
                if of is not None
            ),
        }
        for one, source in zip(near, sources, strict=True)
    ]
    return {
        "id": image, "state": "found", "maps": maps, "neighbours": neighbours,
        "missing": _missing(open_run(table.key[0])) if found["note"] else None,
        "about": found["model_note"],
    }  # fmt: skip


def answer_of_two(of: Sequence[Table], image: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the component's data for an image of two runs, with their heat maps side by side.

    Parameters
    ----------
    of : a table of each run
    image : its id
    names : how the runs are called
    """
    found: list[Explanation | str] = []  # a text says why there is none
    one: Explanation | str | None
    for table in of:
        row = tables.row_of(table, image)
        try:
            one = _explained(table, row, image) if row is not None else "no prediction."
        except UserError as error:
            one = str(error)
        if one is None:
            return {"id": image, "state": "looking"}
        found.append(one)
    if all(isinstance(one, str) for one in found):
        return {"id": image, "state": "failed", "message": found[0]}
    known = [one for one in found if not isinstance(one, str)]
    pairs = [("Predicted class", "predicted")]
    if any(one["predicted"] != one["true"] for one in known):
        pairs.append((f"True class: {known[0]['true']}", "true"))
    maps = [
        {"name": title, "panes": [_pane(*one, role) for one in zip(found, names, strict=True)]}
        for title, role in pairs
    ]
    return {"id": image, "state": "found", "maps": maps}


def open_network(run: Run) -> Future[dict[str, Any]]:
    """Let the worker load PyTorch and a run's network before it is asked about an image."""
    return _QUEUE.submit(_WORKER.ask, {"run": run.name, "open": True})


def ask_about(run: Run, content: bytes) -> Future[dict[str, Any]]:
    """Ask the worker about an image that is in no run; its answer is as `PredictedImage.plain`."""
    question = {"run": run.name, "image": base64.b64encode(content).decode("ascii")}
    return _QUEUE.submit(_WORKER.ask, question)


def _pane(found: Explanation | str, name: str, role: str) -> dict[str, str]:
    """Return one of two images: its heat map, and the text below it."""
    if isinstance(found, str):
        return {"src": "", "text": f"{name}: {found}"}
    (one,) = (each for each in found["maps"] if role in each["roles"])
    if one["blank"]:
        return {"src": "", "text": f"{name}: no area is evidence for {one['class']}"}
    return {"src": _uri(Path(one["file"])), "text": f"{name}: evidence for {one['class']}"}


def _explained(table: Table, row: int, image: str) -> Explanation | None:
    """Return the explanation of an image, or None while the worker computes it."""
    run = open_run(table.key[0])
    sha256 = tables.facts(table, np.array([row]))["sha256"][0].as_py()
    for split in _splits(table):
        if sha256 and (kept := load_explanation(run, split, image, sha256)):
            return kept
    key = (run.name, image)
    if key in _without_features and making_progress(run, "pca").state != "none":
        return _without_features[key]
    if key not in _waiting:
        for other, future in list(_waiting.items()):
            if future.cancel():  # cancelled before it started
                _waiting.pop(other, None)
        only = None if len(_splits(table)) > 1 else table.key[1]
        question = {"run": run.name, "id": image, "split": only}
        _waiting[key] = _QUEUE.submit(_WORKER.ask, question)
    try:
        found = cast(Explanation, _waiting[key].result(_WAIT))
    except TimeoutError:
        return None
    except UserError:
        _waiting.pop(key, None)
        raise
    _waiting.pop(key, None)
    _without_features.pop(key, None)
    if found["note"]:
        for oldest in list(_without_features)[: 1 - _KEPT]:
            _without_features.pop(oldest, None)
        _without_features[key] = found
    return found


def _missing(run: Run) -> dict[str, Any]:
    """Return what to show where features are missing: text, button, whether they are computed."""
    stand = making_progress(run, "pca")
    if stand.state == "running":
        count = f": {stand.done:,} of {stand.total:,} images" if stand.total else ""
        return {"text": f"Computing the features{count} …", "button": "", "running": True}
    if stand.state == "failed":
        text = f"The features could not be computed: {stand.message}"
        return {"text": text, "button": "Try again", "running": False}
    text = "They are found by the features of the run's images, which are not in the cache."
    return {"text": text, "button": "Compute the features", "running": False}


def _splits(table: Table) -> tuple[str, ...]:
    """Return the splits of the images in a table."""
    return ("valid", "train") if table.key[1] in OUT_OF_FOLD else (table.key[1],)


def _uri(file: Path) -> str:
    try:
        return "data:image/png;base64," + base64.b64encode(read_file(file)).decode("ascii")
    except OSError:
        return ""
