"""A run, for scripts and notebooks: described, deleted and reported on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.runs import run as stored
from engine.runs.progress import Progress
from engine.runs.run_about import write_about
from engine.runs.run_bin import delete_run, restore_run

if TYPE_CHECKING:
    from engine.library.run_report import RunReport
    from engine.runs.next_steps import NextSteps


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
        >>> len(report.of("random-correct")), report.write_html("report.html").name
        (1, 'report.html')
        >>> clipped = report.clip(0.05, 0.95)
        >>> clipped.n, clipped.to_pandas().columns.tolist()
        (8, ['bound', 'log_loss'])
        """
        from engine.library.run_report import report_on

        return report_on(self, n, seed, on)

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
