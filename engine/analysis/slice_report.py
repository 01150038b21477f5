"""The slices of a run's labelled images, the worst first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.analysis.slice_text import described
from engine.analysis.slices import Slice

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class SliceReport:
    """The slices of a run's labelled images with a higher or lower log loss than the rest.

    Attributes
    ----------
    run : name of the run
    n, of : number of images used, and of all images; of more than 25,000 a sample is used
    slices : significant ones first, then the others; each part by ``excess``, largest first
    """

    run: str
    n: int
    of: int
    slices: tuple[Slice, ...]

    def __repr__(self) -> str:
        """Return the counts."""
        marked = sum(found.stands_out for found in self.slices)
        return f"<{len(self.slices):,} slices of {self.n:,} images, {marked:,} stand out>"

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per slice, the worst first.

        Columns: slice (its name), n, errors, error_rate, log_loss, rest (log loss of the other
        images), excess, p_adjusted, stands_out.
        """
        import pandas as pd

        numbers = ("n", "errors", "error_rate", "log_loss", "rest", "excess", "p_adjusted")
        columns = ["slice", *numbers, "stands_out"]
        rows = [
            [described(s), *(getattr(s, name) for name in numbers), s.stands_out]
            for s in self.slices
        ]
        return pd.DataFrame(rows, columns=columns)

    def as_json(self) -> dict[str, Any]:
        """Return the slices as `second-look slices --json` prints them."""
        return {
            "run": self.run,
            "n": self.n,
            "of": self.of,
            "slices": [found.as_json() for found in self.slices],
        }
