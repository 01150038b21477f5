"""The report on a run, for scripts and notebooks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from engine.analysis.report import Report, report
from engine.data.image_groups import image_groups
from engine.data.sealing import SEALED
from engine.errors import UserError
from engine.runs.opening import is_file
from engine.runs.progress import Progress

if TYPE_CHECKING:
    from engine.analysis.clip_report import ClipReport
    from engine.library.run import Run

SCORED = ("folds", "valid", "test", SEALED)


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
        """Write the report as one HTML file with its images in it, and return the file.

        Parameters
        ----------
        file : the new file
        progress : called with ``(stage, done, total)`` while images are measured

        Raises
        ------
        UserError
            When the file cannot be written.
        """
        from engine.html_report.write import write_page

        return write_page(self.run, self.split, self, Path(file), progress)

    def _repr_html_(self) -> str:
        """Return the HTML page of the report in a frame for notebooks."""
        from engine.html_report.document import framed
        from engine.html_report.write import page_of

        return framed(page_of(self.run, self.split, self))


def report_on(run: Run, n: int = 4, seed: int = 0, on: str | None = None) -> RunReport:
    """Return the report on labelled images of a run; the parameters are those of `Run.report`."""
    split = scored_split(run, on)
    predictions = run.predictions(split)
    found = report(predictions, n, seed, image_groups(run, split, predictions))
    values = {field.name: getattr(found, field.name) for field in fields(Report)}
    return RunReport(**values, run=run, split=split)


def clipped(
    run: Run, split: str, lower: float | None = None, upper: float | None = None
) -> ClipReport:
    """Return the effect of clip bounds, by default the run's, on the log loss.

    Parameters
    ----------
    split : of the predictions
    lower, upper : bounds on P(positive)
    """
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


def scored_split(run: Run, on: str | None) -> str:
    """Return the predictions that ``on`` selects for a report; sealed images are predicted now.

    Raises
    ------
    UserError
        When there is no such table, or its images have no labels.
    """
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
