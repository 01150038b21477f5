"""Data sets, predictions of other tools, and the demo images, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.library.run import Run
from engine.runs.progress import Progress

if TYPE_CHECKING:
    from engine.data.dataset import Dataset
    from engine.data.demo import DemoSummary


def import_run(
    file: str | Path,
    images: str | Path,
    *,
    name: str | None = None,
    sample: str | Path | None = None,
    positive: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Create a run from the predictions of another tool.

    Parameters
    ----------
    file : str or Path
        A CSV or Parquet table: id or path, label (empty for test images), and one column per class
        (``p_cat``, ``p_dog``) or one column with P(positive). Other usual names are recognised too,
        such as ``filename`` and ``y_true``.
    images : str or Path
        The folder of the images.
    name : str, optional
        Display name of the run.
    sample : str or Path, optional
        The competition's sample file, if the table is a submission in its form.
    positive : str, optional
        The class whose probability the only column holds.
    progress : callable, optional
        Called with ``(stage, done, total)``.

    Returns
    -------
    Run

    Raises
    ------
    UserError
        When the table cannot be used, or none of its images is in the folder.

    Examples
    --------
    >>> import engine
    >>> table = engine.open_run("latest").predictions("valid").to_pandas()
    >>> table.drop(columns="predicted").to_csv("elsewhere.csv", index=False)
    >>> len(engine.import_run("elsewhere.csv", images="demo").predictions("valid"))
    8
    """
    from engine.data.import_predictions import import_run as make_run

    made = make_run(
        Path(file),
        Path(images),
        name,
        progress,
        sample=None if sample is None else Path(sample),
        positive=positive,
    )
    return Run(made.run.folder)


def load_dataset(
    data: str | Path,
    *,
    valid: int | None = None,
    sample: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Dataset:
    """Read a labelled data set as :func:`engine.fit` does: list it, check every file, split it.

    Parameters
    ----------
    data : str or Path
        A Kaggle folder, an ImageFolder, a folder of class folders, a CSV, or a zip of one.
    valid : int, optional
        Images to hold out; by default 2,000, or 20 % of fewer than 10,000.
    sample : bool
        Keep 200 training and 50 validation images.
    seed : int
        Random seed of the split.
    progress : callable, optional
        Called with ``(stage, done, total)``.

    Returns
    -------
    Dataset
        ``images`` (id, path, split, label, width, height, bytes, sha256), ``quarantine`` (images
        that cannot be read, with the reason), ``class_names``, ``root``.

    Raises
    ------
    UserError
        When there are no images, no labels, or a single class.

    Examples
    --------
    >>> import engine
    >>> dataset = engine.load_dataset("demo")
    >>> dataset.class_names, dataset.images["split"].value_counts().to_dict()
    (('cat', 'dog'), {'train': 32, 'valid': 8, 'test': 6})
    >>> bad = dataset.without({dataset.of("valid")["path"].iloc[0]: "blurred"})
    >>> len(bad.of("valid")), bad.quarantine["reason"].tolist()
    (7, ['blurred'])
    """
    from engine.data.dataset import load_dataset as load

    return load(Path(data), valid=valid, sample=sample, seed=seed, progress=progress)


def draw_demo(
    folder: str | Path,
    train: int = 1200,
    test: int = 300,
    seed: int = 0,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> DemoSummary:
    """Draw cats and dogs in Kaggle's layout, some with known difficulties.

    Parameters
    ----------
    folder : str or Path
        A new or empty folder. If it holds the same demo already, nothing is drawn.
    train, test : int
        Labelled images, at least 20, and unlabelled ones.
    seed : int
        Random seed; another one draws other images.
    progress : callable, optional
        Called with ``(done, total)``.

    Returns
    -------
    DemoSummary
        ``folder``, ``train``, ``test``, and ``planted``: images with a fault by its kind, which
        ``planted.csv`` in the folder lists.

    Raises
    ------
    UserError
        When there are too few images, or the folder holds something else.

    Examples
    --------
    >>> import engine
    >>> drawn = engine.draw_demo("more", train=20, test=2)
    >>> drawn.train, drawn.test
    (20, 2)
    """
    from engine.data.demo import draw_demo as draw

    return draw(Path(folder), train, test, seed, progress)
