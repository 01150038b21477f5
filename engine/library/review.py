"""Comparisons of runs, suspected labels and weak slices, for scripts and notebooks."""

from __future__ import annotations

import os

from engine.analysis.compare import Comparison
from engine.analysis.slice_report import SliceReport
from engine.analysis.suspects import Triage
from engine.library.run import Run
from engine.library.run_list import opened
from engine.library.run_report import checked_split
from engine.runs.progress import Progress


def compare(run: Run | str, other: Run | str) -> Comparison:
    """Compare two runs on the labelled images that both predicted.

    Parameters
    ----------
    run, other : Run or str
        Two runs of the same images, or their names.

    Returns
    -------
    Comparison
        log_loss and accuracy of both; log_loss_difference and accuracy_difference (run minus
        other, with 95 % interval); fixed and broken images; ``verdict`` in words;
        ``to_pandas()`` with one row per image.

    Raises
    ------
    UserError
        When the runs differ in their classes, or share no labelled image.

    Examples
    --------
    >>> import engine
    >>> run, other = engine.list_runs()[:2]
    >>> found = engine.compare(run, other)
    >>> found.n == len(found.to_pandas())
    True
    >>> engine.compare(run, run).verdict
    'No difference: both have the same log loss on 39 images.'
    """
    from engine.analysis.compare import compare as compare_tables
    from engine.data.image_groups import image_groups
    from engine.runs.contents import contents

    a, b = opened(run), opened(other, "other")
    tables = [each.predictions(each.labelled_split) for each in (a, b)]
    known = [contents(*each) for each in zip((a, b), tables, strict=True)]
    groups = image_groups(a, a.labelled_split, tables[0])
    names = (a.name, b.name)
    return compare_tables(tables[0], tables[1], names=names, contents=known, groups=groups)


def triage(run: Run | str, *, progress: Progress | None = None) -> Triage:
    """Rank the labels of a run that are suspected to be wrong, and save the list in the run.

    The ranking combines confident learning on out-of-fold predictions, the neighbours in feature
    space, and how atypical an image is. Near-duplicates and images that lie in two splits are
    listed too.

    Parameters
    ----------
    run : Run or str
        A fitted run, its name, or ``"latest"``.
    progress : callable, optional
        Called with ``(stage, done, total)``.

    Returns
    -------
    Triage
        ``suspects``, the most suspicious first, each with its reason; ``to_pandas()``.

    Raises
    ------
    UserError
        When the run has no model, or too few labelled images.

    References
    ----------
    Northcutt, Jiang and Chuang (2021), Confident Learning, JAIR 70.

    Examples
    --------
    >>> import engine
    >>> found = engine.triage("latest")
    >>> found.to_pandas().columns.tolist()[:6]
    ['id', 'path', 'split', 'label', 'suggested', 'kind']
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # see `engine.cli.embed`
    from engine.model.triage import triage as triage_run

    run = opened(run)
    return Triage.from_table(run.name, triage_run(run, progress))


def slices(
    run: Run | str, on: str | None = None, *, progress: Progress | None = None
) -> SliceReport:
    """Find weak slices of a run, such as dark, blurred, small or narrow images.

    Images are divided into fifths by brightness, contrast, sharpness, pixels, aspect and bytes,
    and by the causes that people named; p-values are corrected for the number of slices. Images
    that were not measured before are measured.

    Parameters
    ----------
    run : Run or str
        A run, its name, or ``"latest"``.
    on : {"folds", "valid"}, optional
        All labelled images out of fold, or the validation images; folds where the run has them.
    progress : callable, optional
        Called with ``(stage, done, total)``.

    Returns
    -------
    SliceReport
        ``slices``, significant ones first; ``to_pandas()``.

    Raises
    ------
    UserError
        When not all images have a label, or the run cannot be read.

    References
    ----------
    Benjamini and Hochberg (1995), Controlling the false discovery rate.

    Examples
    --------
    >>> import engine
    >>> found = engine.slices("latest")
    >>> found.n
    39
    >>> found.to_pandas().columns.tolist()[:4]
    ['slice', 'n', 'errors', 'error_rate']
    """
    from engine.analysis.slices import cuts
    from engine.analysis.slices import slices as sliced_by
    from engine.data.image_groups import image_groups
    from engine.data.properties import image_properties, sample_rows

    run = opened(run)
    split = checked_split(run, on)
    predictions = run.predictions(split)
    total = len(predictions)
    predictions = predictions.take(sample_rows(total))
    cut_by = cuts(image_properties(run, split, predictions.ids, progress))
    found = sliced_by(predictions, cut_by, image_groups(run, split, predictions))
    return SliceReport(run.name, len(predictions), total, tuple(found))
