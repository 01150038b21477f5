"""Fits, predictions and blends, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.library.run import Run
from engine.library.run_list import opened
from engine.runs.fit_options import FIT_OPTIONS, FitOptions
from engine.runs.progress import Progress

if TYPE_CHECKING:
    from engine.model.predict import Predicted


def fit(data: str | Path, *, progress: Progress | None = None, **options: Any) -> Run:
    """Fine-tune a classifier on a folder of images; predict its validation and test images.

    Nothing in ``data`` is changed, and nothing is printed. Called again after an interruption with
    the same options, it continues the fit.

    Parameters
    ----------
    data : str or Path
        A Kaggle folder, an ImageFolder, a folder of class folders, a CSV, or a zip of one.
    progress : callable, optional
        Called with ``(stage, done, total)``; stages are list, features, compare, train
        and predict.
    **options
        Those of `second-look fit`, with underscores: ``backbone`` (any torchvision classifier or
        "timm/NAME", "vgg16"; of a list the features stand side by side), ``weights`` ("default",
        "none" or a file; a list for several backbones), ``train`` ("head" or "all"),
        ``epochs``, ``batch_size``, ``lr``, ``image_size`` (pixels), ``views`` (1, 2 or 4 of each
        image, whose features are averaged), ``class_weight`` ("none" or "balanced"), ``valid``
        (images held out), ``folds`` (predict every labelled image by a model that has not seen
        it), ``sealed`` (images that take part in nothing until they are scored), ``sample``,
        ``seed``, ``verdicts``, ``device``, ``precision`` and ``name``; and how the data are read:
        ``labels`` (a label table), ``id_column``, ``label_column`` and ``group`` (its columns),
        and ``test`` (a folder of test images).

    Returns
    -------
    Run

    Raises
    ------
    UserError
        When the data or an option cannot be used.
    TypeError
        When an option does not exist.

    Examples
    --------
    >>> import engine
    >>> run = engine.fit("demo", backbone="squeezenet1_1", weights="none", image_size=64, folds=2,
    ...                  epochs=2)
    >>> run.status.state, len(run.predictions("test"))
    ('done', 6)
    """
    names = [option.name for option in FIT_OPTIONS]
    unknown = [name for name in options if name not in names]
    if unknown:
        raise TypeError(f"fit() has no option {unknown[0]!r}; it has {', '.join(names)}")
    from engine.model.fit import fit as fit_run

    result = fit_run(FitOptions(data, **options), progress=progress)
    return Run(result.run.folder)


def _signature() -> Signature:
    """Return the signature of :func:`fit` with every option by name, for help and completion."""
    given = signature(fit).parameters
    options = [
        Parameter(option.name, Parameter.KEYWORD_ONLY, default=option.default)
        for option in FIT_OPTIONS
    ]
    return Signature([given["data"], *options, given["progress"]], return_annotation="Run")


fit.__signature__ = _signature()  # type: ignore[attr-defined]


def predict(
    run: Run | str, data: str | Path | None = None, *, progress: Progress | None = None
) -> Predicted:
    """Predict the images of a folder with a fitted run.

    Parameters
    ----------
    run : Run or str
        A run, its name, or ``"latest"``.
    data : str or Path, optional
        A folder of images, labelled or not; by default the run's own test images.
    progress : callable, optional
        Called with ``(stage, done, total)``.

    Returns
    -------
    Predicted
        ``predictions``, ``quarantine`` (images that cannot be read, with the reason), ``file``
        (where the predictions are kept), ``forward_passes``, and ``to_pandas()``.

    Raises
    ------
    UserError
        When the run has no model, or no image can be read.

    Examples
    --------
    >>> import engine
    >>> found = engine.predict("latest", "demo/test")
    >>> found.to_pandas().columns.tolist()
    ['id', 'path', 'label', 'predicted', 'p_cat', 'p_dog']
    """
    from engine.model.predict import predict as predict_images

    return predict_images(opened(run), None if data is None else Path(data), progress)


def blend(runs: Sequence[Run | str], *, name: str | None = None) -> Run:
    """Blend several runs into one new run, by probabilities or by log odds.

    The weights are those with the lowest log loss on out-of-fold predictions where all runs have
    them, else on the validation images. ``run.config.blend`` holds them, and the cross-validated
    gain of the blend over the best of the runs.

    Parameters
    ----------
    runs : sequence of Run or str
        Two or more runs of the same images, or their names.
    name : str, optional
        A display name for the new run.

    Returns
    -------
    Run
        A run like any other, but without a model.

    Raises
    ------
    UserError
        When there are fewer than two, or their classes or images differ.

    Examples
    --------
    >>> import engine
    >>> first, second = engine.list_runs()[:2]
    >>> engine.blend([first, second], name="Both").class_names
    ('cat', 'dog')
    """
    from engine.competition.blend import keep_blend, prepare_blend

    return Run(keep_blend(prepare_blend([opened(run, "runs") for run in runs]), name).folder)
