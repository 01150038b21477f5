"""Runs for scripts and notebooks: found by name, described, deleted and reported on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from engine.analysis.report import Report, report
from engine.data.image_groups import image_groups
from engine.data.sealing import SEALED
from engine.errors import UserError
from engine.runs import run as stored
from engine.runs import run_list
from engine.runs.opening import is_file
from engine.runs.progress import Progress
from engine.runs.run_about import write_about
from engine.runs.run_bin import delete_run, restore_run

if TYPE_CHECKING:
    from engine.analysis.clip_report import ClipReport
    from engine.runs.next_steps import NextSteps


SCORED = ("folds", "valid", "test", SEALED)


class Run(stored.Run):
    """A run: a data set, the choices of a fit, and its predictions, in a folder on disk.

    Runs come from :func:`engine.fit`, :func:`engine.import_run`, :func:`engine.blend`,
    :func:`engine.open_run` and :func:`engine.list_runs`. Every attribute reads the disk.

    Parameters
    ----------
    folder : Path
        The folder of the run.

    Attributes
    ----------
    name : str
        Name of the run; every function accepts it instead of the run itself.
    title : str
        The display name, else what the run is a refit or a blend of, else its name.
    class_names : tuple of str
        Sorted; the index of a name is its column in the probabilities.
    status : RunStatus
        ``state`` (queued, running, done, failed, cancelled or lost) and the progress.
    images : DataFrame
        id, path, split, label, width, height (pixels), bytes and sha256 of every image.
    quarantine : DataFrame
        path, reason, id, split and label of every image that cannot be used.

    Examples
    --------
    >>> import engine
    >>> run = engine.open_run("latest")
    >>> run.class_names
    ('cat', 'dog')
    >>> run.predictions("valid").to_pandas().columns.tolist()
    ['id', 'path', 'label', 'predicted', 'p_cat', 'p_dog']
    """

    def describe(self, name: str | None = None, note: str | None = None) -> Run:
        """Change the run's display name, its note, or both.

        Parameters
        ----------
        name : str, optional
            The display name, at most 200 characters; an empty one removes it.
        note : str, optional
            The note, at most 2,000 characters; an empty one removes it.

        Returns
        -------
        Run
            The run itself, with its new ``title`` and ``about.note``.

        Raises
        ------
        UserError
            When one is too long, or cannot be written.

        Examples
        --------
        >>> import engine
        >>> engine.open_run("latest").describe("first try", note="labels not reviewed").title
        'first try'
        """
        write_about(self.folder, name, note)
        return self

    def delete(self) -> Run:
        """Move the run to the bin; `restore` undoes this.

        Returns
        -------
        Run
            The run in the bin; functions do not find it by name.

        Raises
        ------
        UserError
            When a process writes the run, or it cannot be moved.

        Examples
        --------
        >>> import engine
        >>> deleted = engine.open_run("latest").delete()
        >>> deleted.name in [run.name for run in engine.list_runs()]
        False
        >>> deleted.restore().name == engine.list_runs()[0].name
        True
        """
        return Run(delete_run(self.name).folder)

    def restore(self) -> Run:
        """Take a deleted run out of the bin.

        Returns
        -------
        Run
            The restored run.

        Raises
        ------
        UserError
            When it is not in the bin, or another run has its name.

        Examples
        --------
        >>> import engine
        >>> deleted = engine.open_run("latest").delete()
        >>> deleted.restore().name == engine.list_runs()[0].name
        True
        """
        return Run(restore_run(self.name).folder)

    def report(self, n: int = 4, seed: int = 0, on: str | None = None) -> RunReport:
        """Report on the labelled images of the run.

        In a notebook the report shows itself as the page that `second-look report --html` writes.

        Parameters
        ----------
        n : int
            Images of each category; of each class for the confident categories.
        seed : int
            Random seed of the sampled images.
        on : {"folds", "valid", "test", "sealed"}, optional
            All labelled images, each predicted by a model that has not seen it; the validation
            images; labelled test images; or the images that ``fit(sealed=…)`` reserved, which are
            predicted now. By default folds where the run has them, else valid.

        Returns
        -------
        RunReport
            Scores with 95 % intervals, ``confusion_matrix``, ``per_class``, ``most_confused`` and
            ``categories``; `to_pandas()` gives one row per class, `clip()` the effect of clip
            bounds, `write_html()` the page.

        Raises
        ------
        UserError
            When the run has no such predictions, or not all of their images have a label.

        Examples
        --------
        >>> import engine
        >>> report = engine.open_run("latest").report(on="valid")
        >>> report.n, report.confusion_matrix.shape
        (8, (2, 2))
        >>> report.to_pandas()[["class", "count"]]
          class  count
        0   cat      4
        1   dog      4
        """
        split = _scored_split(self, on)
        predictions = self.predictions(split)
        found = report(predictions, n, seed, image_groups(self, split, predictions))
        values = {field.name: getattr(found, field.name) for field in fields(Report)}
        return RunReport(**values, run=self, split=split)

    def next_steps(self, progress: Progress | None = None) -> NextSteps:
        """Measure what would lower the log loss of the run; see :func:`engine.next_steps`.

        Parameters
        ----------
        progress : callable, optional
            Called with ``(stage, done, total)``.

        Returns
        -------
        NextSteps
            ``steps``, the largest expected gain first; ``to_pandas()``.

        Raises
        ------
        UserError
            When the run has no labelled predictions.

        Examples
        --------
        >>> import engine
        >>> found = engine.open_run("latest").next_steps()
        >>> found.n
        39
        """
        from engine.library.next_steps import next_steps

        return next_steps(self, progress=progress)


@dataclass(frozen=True, eq=False, repr=False)
class RunReport(Report):
    """The report on a run; see :class:`~engine.analysis.report.Report` for its figures.

    Attributes
    ----------
    run : the run
    split : the images of the report, folds, valid, test or sealed
    """

    run: Run
    split: str

    def clip(self, lower: float | None = None, upper: float | None = None) -> ClipReport:
        """Return the effect of clip bounds on the log loss of the same images.

        Parameters
        ----------
        lower, upper : bounds on P(positive); the run's own by default
        """
        return clipped(self.run, self.split, lower, upper)

    def write_html(self, file: str | Path, progress: Progress | None = None) -> Path:
        """Write the report as one HTML file with its images in it, and return the file."""
        from engine.html_report.write import write_page

        return write_page(self.run, self.split, self, Path(file), progress)

    def _repr_html_(self) -> str:
        """Return the HTML page of the report in a frame for notebooks."""
        from engine.html_report.document import framed
        from engine.html_report.write import page_of

        return framed(page_of(self.run, self.split, self))


def clipped(
    run: Run, split: str, lower: float | None = None, upper: float | None = None
) -> ClipReport:
    """Return the effect of clip bounds, by default the run's, on the log loss."""
    from engine.analysis.clip_report import clip_report  # loads SciPy's optimisation
    from engine.competition.correction import positive_index

    own, predictions = run.bounds, run.predictions(split)
    return clip_report(
        predictions,
        own[0] if lower is None else lower,
        own[1] if upper is None else upper,
        n_test=run.config.n.test,
        positive=positive_index(run),
        groups=image_groups(run, split, predictions),
    )


def opened(run: stored.Run | str, name: str = "run") -> Run:
    """Return a run that is given as a Run or by its name.

    Raises
    ------
    UserError
        When there is no such run; the message names the argument.
    """
    if isinstance(run, str):
        run = run_list.open_run(run)
    if not isinstance(run, stored.Run):
        raise UserError(f"must be a Run or the name of one, not {type(run).__name__}.", option=name)
    return run if isinstance(run, Run) else Run(run.folder)


def _scored_split(run: Run, on: str | None) -> str:
    """Return the table of predictions that a report is about; sealed images are predicted."""
    if on not in (None, *SCORED):
        raise UserError(f"is unknown; choose one of {', '.join(SCORED)}.", option="on", value=on)
    if on == SEALED and not is_file(run.predictions_path(SEALED)):
        from engine.model.score_sealed import score_sealed

        score_sealed(run)
    if on == "test" and not run.predictions("test").labelled:
        raise UserError(
            f"run {run.name} has test images without labels, which cannot be scored; leave --on "
            "out for the labelled images."
        )
    return on or run.labelled_split


def checked_split(run: Run, on: str | None) -> str:
    """Return the split that ``on`` selects, by default the run's labelled one.

    Raises
    ------
    UserError
        When it is neither.
    """
    if on not in (None, "folds", "valid"):
        raise UserError("is unknown; choose folds or valid.", option="on", value=on)
    return on or run.labelled_split


def open_run(name: str) -> Run:
    """Find a run by its name.

    Parameters
    ----------
    name : str
        The run's name, a beginning that no other run has, or ``"latest"`` for the newest run
        that is done. Never a path: runs lie in ``$SECONDLOOK_HOME``, else in ``./workspace``.

    Returns
    -------
    Run

    Raises
    ------
    UserError
        When there is no such run, several names begin with it, or it cannot be read.

    Examples
    --------
    >>> import engine
    >>> engine.open_run("latest").status.state
    'done'
    """
    return opened(name, "name")


def list_runs() -> list[Run]:
    """List all runs.

    Returns
    -------
    list of Run
        The newest first.

    Examples
    --------
    >>> import engine
    >>> engine.list_runs()[0].class_names
    ('cat', 'dog')
    """
    return [Run(run.folder) for run in run_list.list_runs()]
