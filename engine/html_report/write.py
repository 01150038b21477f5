"""`report --html`: a run as one self-contained page, with its images in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from engine.analysis.clip_report import clip_report
from engine.analysis.report import Report
from engine.competition.correction import positive_index
from engine.data.formats import Unreadable
from engine.data.image_groups import image_groups
from engine.data.properties import image_properties, sample_rows
from engine.data.thumbnails import thumbnail
from engine.html_report.document import Page, document
from engine.html_report.galleries import shown_images
from engine.runs.files import write_atomic
from engine.runs.progress import Progress
from engine.runs.run import Run


def write_page(
    run: Run, split: str, report: Report, file: Path, progress: Progress | None = None
) -> Path:
    """Write a run's page atomically.

    Parameters
    ----------
    split : of the predictions that the report is about

    Raises
    ------
    UserError
        When the predictions cannot be used, or the file cannot be written.
    """
    write_atomic(file, page_of(run, split, report, progress))
    return file


def page_of(run: Run, split: str, report: Report, progress: Progress | None = None) -> str:
    """Return a run's page as one HTML document; images not yet measured are measured.

    Raises
    ------
    UserError
        When the predictions cannot be used.
    """
    from engine.analysis.slices import cuts, slices

    config, predictions = run.config, run.predictions(split)
    lower, upper = run.bounds
    measured = predictions.take(sample_rows(len(predictions)))
    cut_by = cuts(image_properties(run, split, measured.ids, progress))
    page = Page(
        run=run.name,
        title=run.title,
        facts={
            "made": config.created[:16].replace("T", " "),
            "network": config.network,
            "images": f"{report.n:,}" + (" out of fold" if split == "folds" else ""),
            "from": Path(config.data or "").name,
            **(
                {"class weights": "balanced; probabilities are not frequencies"}
                if config.options and config.options.class_weight == "balanced"
                else {}
            ),
        },
        precision=config.precision_sentence,
        report=report,
        clip=clip_report(
            predictions,
            lower,
            upper,
            n_test=config.n.test,
            positive=positive_index(run),
            groups=image_groups(run, split, predictions),
        ),
        slices=slices(measured, cut_by, image_groups(run, split, measured)),
        thumbnails=_thumbnails(run, report),
        measured=len(measured) if len(measured) < len(predictions) else None,
    )
    return document(page)


def _thumbnails(run: Run, report: Report) -> dict[str, bytes]:
    """Return path to thumbnail for the images that the page shows."""
    images, root = run.images, run.data_root
    sums = dict(zip(images["path"], images["sha256"], strict=True))
    paths = sorted({image.path for image in shown_images(report)} & set(sums))

    def made(path: str) -> bytes:
        with suppress(Unreadable, OSError, ValueError):
            return thumbnail(root / path, sums[path])
        return b""

    with ThreadPoolExecutor(8) as pool:
        return {path: jpeg for path, jpeg in zip(paths, pool.map(made, paths), strict=True) if jpeg}
