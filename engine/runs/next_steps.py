"""Stores the steps that would lower a run's log loss, with their expected gains."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.runs.files import read_json, write_json
from engine.runs.fit_options import FitOptions
from engine.runs.run import Run
from engine.runs.side_result import SideResult
from engine.runs.typed_json import from_json, to_json

if TYPE_CHECKING:
    import pandas as pd

LABELS, IMAGES, VIEWS, BACKBONE, BESIDE, RUN, BLEND, CORRECTION = KINDS = (
    "labels", "images", "views", "backbone", "side by side", "run", "blend", "correction",
)  # fmt: skip
MEASURED, EXTRAPOLATED, AT_MOST, ELSEWHERE = (
    "measured here", "extrapolated from here", "at most", "measured elsewhere",
)  # fmt: skip
_PLAIN = {
    MEASURED: "measured on these images",
    EXTRAPOLATED: "estimated from these images",
    ELSEWHERE: "known only from other images",
}


@dataclass(frozen=True)
class NextStep:
    """A step, and by how much it is expected to lower the log loss.

    Attributes
    ----------
    kind : labels, images, views, backbone, side by side, run, blend or correction
    title : what to do
    gain : expected decrease of the log loss, None if it cannot be estimated here
    interval : 95 % interval of the gain; where ``gain`` is None, its smallest and largest possible
        value, None if unknown
    source : "measured here", "extrapolated from here", "at most" or "measured elsewhere"
    reason : how the gain was estimated
    time : how long it takes
    command : arguments of the command line that do it
    run : another run that the step uses, '' for none
    value : the number of views or the backbone, '' for none
    """

    kind: str
    title: str
    gain: float | None
    interval: tuple[float, float] | None
    source: str
    reason: str
    time: str
    command: tuple[str, ...]
    run: str = ""
    value: str = ""

    @property
    def within_noise(self) -> bool:
        """Return whether the interval of the gain includes 0."""
        return self.gain is not None and self.interval is not None and self.interval[0] <= 0

    @property
    def gain_text(self) -> str:
        """Return the gain in words, with its interval."""
        if self.interval is None:
            return "not measured here"
        low, high = self.interval
        if self.gain is None:
            return f"at most {high:.4f}"
        noise = "; includes 0" if self.within_noise else ""
        return f"{self.gain:.4f} (95 %: {low:.4f} to {high:.4f}{noise})"

    @property
    def estimate(self) -> str:
        """Return what the step does to the log loss, and where that was measured."""
        about = "" if self.gain is None else "about "
        does = f"lowers the log loss by {about}{self.gain_text}"
        if self.gain is not None and self.gain <= 0:
            does = f"does not lower the log loss: gain {self.gain_text}"
        parts = [does] if self.interval else ["not measured on these images"]
        return "; ".join([*parts, *([_PLAIN[self.source]] if self.source in _PLAIN else [])])


@dataclass(frozen=True, repr=False)
class NextSteps:
    """The steps that would lower the log loss of a run, the largest expected gain first.

    Attributes
    ----------
    run : name of the run
    split : the labelled images of the log loss, folds or valid
    n, log_loss : number of these images, and their log loss
    made : when the steps were measured, UTC
    steps : those with a gain first, the largest first
    notes : sentences on what cannot be measured for this run, and why
    """

    run: str
    split: str
    n: int
    log_loss: float
    made: str
    steps: tuple[NextStep, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return the number of steps and the first one."""
        first = f": {self.steps[0].title}, {self.steps[0].gain_text}" if self.steps else ""
        return f"<{len(self.steps)} next steps{first}>"

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per step: kind, title, gain, low, high, source, reason, time, command."""
        import pandas as pd

        rows = [
            {
                "kind": step.kind,
                "title": step.title,
                "gain": step.gain,
                "low": step.interval and step.interval[0],
                "high": step.interval and step.interval[1],
                "source": step.source,
                "reason": step.reason,
                "time": step.time,
                "command": " ".join(step.command),
            }
            for step in self.steps
        ]
        columns = "kind title gain low high source reason time command".split()
        return pd.DataFrame(rows, columns=columns)

    def as_json(self) -> dict[str, Any]:
        """Return the steps as `second-look next --json` prints them."""
        return asdict(self)


def side_by_side_options(own: FitOptions, other: FitOptions) -> FitOptions:
    """Return the options of a fit like ``own`` with the backbones of ``other`` beside its own."""
    backbones, weights = zip(*own.networks, *other.networks, strict=True)
    return replace(own, name=None, backbone=backbones, weights=weights)


def next_steps_of(run: Run) -> SideResult:
    """Return the file with the steps, which `next` makes."""
    return SideResult(run, "next", run.folder / "next.json")


def save_next_steps(run: Run, found: NextSteps) -> None:
    """Write the steps beside the run."""
    write_json(next_steps_of(run).path, to_json(found))


def load_next_steps(run: Run) -> NextSteps:
    """Read the steps.

    Raises
    ------
    UserError
        If there are none, or the file is damaged.
    """
    path = next_steps_of(run).path
    return from_json(NextSteps, read_json(path), f"{path} is damaged: ")
