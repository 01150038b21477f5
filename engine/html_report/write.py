"""`report --html`: write a run's report as one self-contained HTML file with its images."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.analysis.report import clip_report
from engine.competition.prepare import positive_index
from engine.data.formats import Unreadable
from engine.data.properties import image_properties, sample_rows
from engine.data.thumbnails import thumbnail
from engine.html_report.document import Page, document, shown_images
from engine.runs.files import write_atomic
from engine.runs.run import Run

Progress = Callable[[str, int, int], None]


def write_page(
    run: Run, split: str, report: dict[str, Any], file: Path, progress: Progress | None = None
) -> Path:
    """Write a run's page completely or not at all.

    Parameters
    ----------
    split : the split of the reported predictions
    report : the value returned by `report`

    Raises
    ------
    UserError
        If the predictions cannot be used, or the file cannot be written.
    """
    from engine.analysis.slices import cuts, slices

    config, predictions = run.config, run.predictions(split)
    lower, upper = run.bounds
    measured = predictions.take(sample_rows(len(predictions)))
    page = Page(
        run=run.name,
        title=str(config.get("name") or ""),
        facts={
            "made": str(config.get("created", ""))[:16].replace("T", " "),
            "network": str(config.get("backbone", "")),
            "images": f"{report['n']:,}" + (" out of fold" if split == "folds" else ""),
            "from": Path(str(config.get("data", ""))).name,
        },
        report=report,
        clip=clip_report(
            predictions, lower, upper, n_test=config["n"]["test"], positive=positive_index(run)
        ),
        slices=slices(measured, cuts(image_properties(run, split, measured.ids, progress))),
        thumbnails=_thumbnails(run, report),
        measured=len(measured) if len(measured) < len(predictions) else None,
    )
    write_atomic(file, document(page))
    return file


def _thumbnails(run: Run, report: dict[str, Any]) -> dict[str, bytes]:
    """Return the thumbnails of the images on the page, by path."""
    images, root = run.images, run.data_root
    sums = dict(zip(images["path"], images["sha256"], strict=True))
    paths = sorted({image["path"] for image in shown_images(report)} & set(sums))

    def made(path: str) -> bytes:
        with suppress(Unreadable, OSError, ValueError):
            return thumbnail(root / path, sums[path])
        return b""

    with ThreadPoolExecutor(8) as pool:
        return {path: jpeg for path, jpeg in zip(paths, pool.map(made, paths), strict=True) if jpeg}
